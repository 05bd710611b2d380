"""Validation of samples and outputs, for every framework."""

import torch
from torch import Tensor

from brainleaks.errors import InputError
from brainleaks.factory import require

FRAMEWORKS: tuple[str, ...] = (
    "snntorch", "spikingjelly", "norse", "sinabs", "rockpool", "nir", "torch",
)  # fmt: skip


def check_samples(samples: Tensor) -> None:
    """Raise InputError unless samples are spikes or images, as an adapter takes them."""
    if samples.ndim not in (4, 5) or 0 in samples.shape or not samples.is_floating_point():
        raise InputError(
            f"samples are a {samples.dtype} array of shape {tuple(samples.shape)}; expected "
            "floating point, spikes (T, B, C, H, W) or images (B, C, H, W)."
        )


def check_framework(framework: str | None) -> None:
    """Raise InputError unless a framework that is named is known and installed."""
    if framework is not None and framework not in FRAMEWORKS:
        raise InputError(f"framework is {framework!r}; it is one of {', '.join(FRAMEWORKS)}.")
    if framework is not None:
        require("h5py" if framework == "nir" else framework)


def check_answer(trace: Tensor, classes: int) -> None:
    """Raise InputError unless a trace is ``(T, B, classes)`` and finite."""
    if trace.ndim != 3:
        raise InputError(
            f"the network returns {tuple(trace.shape[2:])} values per input and time step; "
            f"expected one per class, ({classes},)."
        )
    if trace.shape[2] != classes:
        raise InputError(
            f"the model has {trace.shape[2]} outputs but the data has {classes} classes; use the "
            "data that the model was trained on."
        )
    if not trace.isfinite().all():
        raise InputError("the network returns NaN or infinity; check its weights.")


def few(samples: Tensor) -> Tensor:
    """Two or three samples, another number than there are steps, and of two steps at least."""
    spiking = samples.ndim == 5
    batch = 2 if spiking and len(samples) == 3 else 3
    which = torch.arange(batch) % samples.shape[-4]
    taken = samples.index_select(1 if spiking else 0, which)
    return taken.repeat(2, 1, 1, 1, 1) if spiking and len(taken) == 1 else taken
