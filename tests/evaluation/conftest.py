"""Recordings small enough to see through."""

import numpy as np
import pytest
import torch

from brainleaks.data.dataset import SpikeTrains
from brainleaks.data.events import Frames, spike_trains


@pytest.fixture
def recordings() -> tuple[SpikeTrains, torch.Tensor]:
    """Recordings of 5, 3 and 4 frames of 3 x 4 pixels, and the same as ``(5, 3, 1, 3, 4)``."""
    generator = torch.Generator().manual_seed(0)
    dense = (torch.rand(5, 3, 1, 3, 4, generator=generator) < 0.4).float()
    parts = []
    for i, length in enumerate((5, 3, 4)):
        dense[length:, i] = 0
        frames = [row.nonzero().squeeze(1) for row in dense[:length, i].flatten(1)]
        pixels = torch.cat(frames).numpy().astype(np.uint16)
        parts.append(Frames(pixels, np.array([len(frame) for frame in frames])))
    return spike_trains(parts, (3, 4)), dense
