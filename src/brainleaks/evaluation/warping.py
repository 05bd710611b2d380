"""Similarity of recordings of channels up to local changes of speed: dynamic time warping."""

import torch
from torch import Tensor
from torch.nn import functional

#: Two recordings may be shifted against each other by this share of their time steps.
BAND = 0.1
#: Larger recordings are averaged to so many time steps and channels, about as judges see them.
_STEPS, _CHANNELS = 100, 100
_PAIRS = 4096


def warped_correlations(recordings: Tensor, others: Tensor, band: float = BAND) -> Tensor:
    """The correlation of each recording with each of the others after the best warping, ``(B, N)``.

    Each recording is centred and scaled to unit norm; then the sum of squared differences of two
    recordings is ``2 - 2 r``, and the least sum over all warpings gives ``r`` in the same way.
    With a band of 0 it is Pearson's correlation. A recording that does not vary has 0 with any
    other.

    Args:
        recordings: ``(B, C, T, channels)``, one vector of ``C * channels`` values a time step.
        others: ``(N, C, T, channels)``.
        band: the largest shift, as a share of ``T``.
    """
    first, second = _unit(recordings), _unit(others)
    width = round(band * first.shape[1])
    piece = max(1, _PAIRS // max(1, len(second)))
    distances = [time_warping(some, second, width) for some in first.split(piece)]
    varies = _varies(first)[:, None] & _varies(second)
    return torch.where(varies, 1 - torch.cat(distances) / 2, 0.0)


def time_warping(recordings: Tensor, others: Tensor, width: int) -> Tensor:
    """Dynamic time warping of each recording with each of the others, ``(B, N)``.

    The symmetric form with a band: with ``d(i, j)`` the squared distance of step ``i`` and step
    ``j``, ``g(i, j) = min(g(i-1, j) + d, g(i-1, j-1) + 2 d, g(i, j-1) + d)`` where
    ``|i - j| <= width``. The result is half of ``g`` at the last steps, so that without warping it
    is the sum of ``d(i, i)``.

    Args:
        recordings: ``(B, T, F)``.
        others: ``(N, T, F)``.
        width: the largest shift in time steps.

    Reference: Sakoe and Chiba 1978, "Dynamic programming algorithm optimization for spoken word
    recognition", table 1 (symmetric, P = 0) and equation 8.
    """
    steps = recordings.shape[1]
    width = min(width, steps - 1)
    costs = _costs(recordings, others, width)
    # One row for each shift j - i, between two rows that no path reaches. Cells of a diagonal (one
    # i + j) have shifts of one parity, and follow from the diagonals before, still in these rows.
    best = costs.new_full((2 * width + 3, *costs.shape[2:]), torch.inf)
    best[width + 1] = 2 * costs[width, 0]
    for diagonal in range(1, 2 * steps - 1):
        reach = min(width, diagonal, 2 * (steps - 1) - diagonal)
        reach -= (reach - diagonal) % 2
        if reach < 0:
            continue
        shifts = torch.arange(-reach, reach + 1, 2)
        cost = costs[shifts + width, (diagonal - shifts) // 2]
        rows = slice(width + 1 - reach, width + 2 + reach, 2)
        before = best[width - reach : width + 1 + reach : 2]
        after = best[width + 2 - reach : width + 3 + reach : 2]
        best[rows] = torch.minimum(torch.minimum(before, after) + cost, best[rows] + 2 * cost)
    return best[width + 1] / 2


def _costs(recordings: Tensor, others: Tensor, width: int) -> Tensor:
    """Squared distances by shift and step of the first recording, ``(2 width + 1, T, B, N)``."""
    first, second = recordings.transpose(0, 1), others.permute(1, 2, 0)
    steps = len(first)
    squares, others_squares = first.square().sum(2)[..., None], second.square().sum(1)[:, None]
    costs = first.new_full((2 * width + 1, steps, first.shape[1], second.shape[2]), torch.inf)
    for shift in range(-width, width + 1):
        here = slice(max(0, -shift), steps - max(0, shift))
        there = slice(max(0, shift), steps - max(0, -shift))
        products = first[here] @ second[there]
        costs[shift + width, here] = squares[here] + others_squares[there] - 2 * products
    return costs.clamp_(min=0)


def _unit(recordings: Tensor) -> Tensor:
    """``(B, C, T, channels)`` to ``(B, T, C channels)``, centred and of unit norm, or near 0."""
    size = min(recordings.shape[2], _STEPS), min(recordings.shape[3], _CHANNELS)
    if size != recordings.shape[2:]:
        recordings = functional.adaptive_avg_pool2d(recordings, size)
    rows = recordings.flatten(1).double()  # what does not vary then leaves far less than eps
    rows = functional.normalize(rows - rows.mean(1, keepdim=True), dim=1, eps=1e-8)
    return rows.to(recordings).view_as(recordings).transpose(1, 2).flatten(2)


def _varies(units: Tensor) -> Tensor:
    return units.square().sum((1, 2)) > 0.5
