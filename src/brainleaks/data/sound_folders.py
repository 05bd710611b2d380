"""Class folders of sound: recordings of channels, by :class:`brainleaks.data.cochlea.Cochlea`."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from brainleaks.data.class_folders import File, Listing
from brainleaks.data.cochlea import Cochlea
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.sound_files import read_sound
from brainleaks.errors import option
from brainleaks.limits import FILE_BYTES, FRAMES


def load_sounds(
    name: str, listing: Listing, files: Iterable[File], steps: int, channels: int | None
) -> Dataset:
    """Read the ``.wav`` of a listing, as spikes ``(1, steps, channels)``.

    Args:
        name: of the data set.
        listing: of the folder.
        files: those of the listing, in its order.
        steps: time steps of 10 ms; longer recordings are cut.
        channels: mel bands; by default as many as :class:`Cochlea` has.

    Raises:
        InputError: naming a file that is malformed, or of another sample rate than the first.
    """
    FRAMES.check(option("steps"), steps)
    _, rate = read_sound(listing.files[0].path)
    settings: dict[str, Any] = {} if channels is None else {"channels": channels}
    cochlea = Cochlea(sample_rate=rate, steps=steps, **settings)
    cells = len(listing.files) * steps * cochlea.channels
    FILE_BYTES.check(f"{name}, as {steps} steps of {cochlea.channels} channels,", 4 * cells)
    spikes = np.stack([cochlea.spikes(read_sound(f.path, rate).samples) for f in files])
    inputs = torch.from_numpy(spikes).float().unsqueeze(1)
    labels = torch.tensor([file.label for file in listing.files])
    train, test = (
        Samples(inputs[which], labels[which])
        for which in (torch.tensor([f.part == p for f in listing.files]) for p in ("train", "test"))
    )
    return Dataset(name, train, test, listing.class_names, streamed=True, sound=cochlea)
