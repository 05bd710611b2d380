"""What pictures have in common, whatever they show: nothing private is needed to know it."""

import math

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-6


def total_variation(images: Tensor) -> Tensor:
    """Sum of the differences between neighbouring pixels, ``(N,)``, of ``(N, C, H, W)``.

    Rounded at zero, where it would have no derivative (Rudin, Osher and Fatemi 1992).
    """
    down, right = images.diff(dim=2), images.diff(dim=3)
    return sum(((d**2 + _TINY).sqrt() - math.sqrt(_TINY)).sum((1, 2, 3)) for d in (down, right))  # type: ignore[return-value]


def smooth(images: Tensor, width: float | tuple[float, float]) -> Tensor:
    """Images ``(N, C, H, W)`` blurred by a Gaussian; edges are continued.

    Args:
        images: to blur.
        width: in pixels; or down and across.
    """
    down, across = width if isinstance(width, tuple) else (width, width)
    if not down and not across:
        return images
    (high, columns), (wide, rows) = _taps(down, images), _taps(across, images)
    blurred = images.flatten(0, 1).unsqueeze(1)
    blurred = functional.pad(blurred, (wide, wide, high, high), mode="replicate")
    blurred = functional.conv2d(blurred, columns.view(1, 1, -1, 1))
    blurred = functional.conv2d(blurred, rows.view(1, 1, 1, -1))
    return blurred.view_as(images)


def _taps(width: float, like: Tensor) -> tuple[int, Tensor]:
    """How far a Gaussian reaches, and its values there."""
    reach = math.ceil(3 * width)
    steps = torch.arange(-reach, reach + 1)
    taps = torch.exp(-0.5 * (steps / width) ** 2) if width else torch.ones(1)
    taps = taps.to(like)
    return reach, taps / taps.sum()
