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


def smooth(images: Tensor, width: float) -> Tensor:
    """Images ``(N, C, H, W)`` blurred by a Gaussian of ``width`` pixels; edges are continued."""
    if width == 0:
        return images
    reach = math.ceil(3 * width)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2).to(images)
    taps = taps / taps.sum()
    rows = images.flatten(0, 1).unsqueeze(1)
    rows = functional.pad(rows, (reach,) * 4, mode="replicate")
    rows = functional.conv2d(rows, taps.view(1, 1, -1, 1))
    rows = functional.conv2d(rows, taps.view(1, 1, 1, -1))
    return rows.view_as(images)
