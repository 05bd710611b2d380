"""An external network as it was built, and the samples that it is shown."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brainleaks.data import SpikeTrains
from brainleaks.data.codes import IMAGE_CODES
from brainleaks.errors import InputError, option
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.randomness import stream
from brainleaks.target import RANKS, Access

#: Classes of which a sample is shown to the adapter, and answered for by who the target is.
_SHOWN, _SHOWN_BYTES = 64, 256 << 20
#: So many of them are looked at before the others, and are differentiated.
FEW = 3


@dataclass(frozen=True)
class Built:
    """A network from elsewhere: what :class:`brainleaks.adapters.Adapted` offers.

    ``network`` takes ``(T, B, *input_shape)`` or ``(B, *input_shape)``; ``weights`` is its file's
    name and hash where it has one. ``initial`` is the network before its training, if known.
    """

    network: nn.Module
    framework: str
    lowered: bool
    facts: dict[str, Any]
    weights: dict[str, str] | None = None
    initial: nn.Module | None = None


def shown_samples(pipeline: Pipeline) -> Tensor:
    """A training sample of each of the first classes, as the model takes them."""
    inputs, labels, _ = pipeline.dataset.train
    encoding = pipeline.study.encoding
    steps = encoding.steps if encoding else 1
    if isinstance(inputs, SpikeTrains):
        steps = int(np.diff(inputs.recordings).max())
    bearable = _SHOWN_BYTES // (4 * steps * prod(pipeline.dataset.input_shape))
    count = min(len(pipeline.dataset.class_names), _SHOWN, max(FEW, bearable))
    samples = inputs[torch.tensor([int((labels == c).nonzero()[0]) for c in range(count)])]
    if isinstance(encoding, IMAGE_CODES):
        return encoding(samples)
    return pipeline.encode(samples, stream(0, "shown samples"))


def check_access(access: Access, built: Built) -> None:
    """Refuse more access than the model grants.

    Raises:
        InputError: naming the most.
    """
    most = built.facts.get("access", access)
    if most == "gradients" and built.initial is not None:
        most = "initial-weights"
    if RANKS.index(access) > RANKS.index(most):
        raise InputError(
            f"{option('access', access)}: the model grants at most {most}; use "
            f"{option('access', most)}."
        )
