"""Dynamic time warping, against the recursion cell by cell and against warpings made by hand."""

import numpy as np
import pytest
import torch

from brainleaks.evaluation.likeness import correlations
from brainleaks.evaluation.warping import time_warping, warped_correlations


def one_pair(first, second, width):
    """Sakoe and Chiba's recursion, one cell after the other."""
    steps = len(first)
    total = np.full((steps, steps), np.inf)
    for i in range(steps):
        for j in range(steps):
            if abs(i - j) > width:
                continue
            cost = float(((first[i] - second[j]) ** 2).sum())
            if i == j == 0:
                total[i, j] = 2 * cost
                continue
            ways = [(i - 1, j, cost), (i, j - 1, cost), (i - 1, j - 1, 2 * cost)]
            total[i, j] = min(total[a, b] + c for a, b, c in ways if a >= 0 and b >= 0)
    return total[-1, -1] / 2


@pytest.mark.parametrize(
    ("steps", "width"), [(1, 0), (2, 1), (9, 0), (9, 1), (10, 3), (9, 8), (5, 40)]
)
def test_it_is_the_recursion_of_the_paper(steps, width):
    draw = torch.Generator().manual_seed(steps + width)
    first, second = (torch.randn(n, steps, 3, generator=draw) for n in (4, 5))
    expected = [[one_pair(a.numpy(), b.numpy(), width) for b in second] for a in first]
    found = time_warping(first, second, width)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))


def test_a_shift_within_the_band_costs_nothing_and_beyond_it_does():
    """One spike at step 3 and one at step 5: the path waits two steps, if the band allows them."""
    first, second = torch.zeros(2, 1, 8, 1)
    first[0, 3], second[0, 5] = 1, 1
    assert time_warping(first, second, 2).item() == 0
    assert time_warping(first, second, 1).item() == 1
    assert time_warping(first, second, 0).item() == 2


def test_without_warping_it_is_the_correlation():
    draw = torch.Generator().manual_seed(0)
    first, second = (torch.rand(n, 2, 12, 5, generator=draw) for n in (3, 4))
    found = warped_correlations(first, second, band=0)
    torch.testing.assert_close(found, correlations(first, second))


def test_a_slower_recording_is_recognised():
    """A sweep over the channels, and the same at 80 % of its speed, which correlation misses."""
    when, channel = torch.arange(40.0)[:, None], torch.arange(20.0)
    fast, slow, back = (
        (-((channel - place) ** 2) / 2).exp()[None, None]
        for place in (when / 2, when * 0.4, 19 - when / 2)
    )
    plain, warped = correlations(fast, slow), warped_correlations(fast, slow, band=0.25)
    assert plain < 0.5
    assert warped > 0.9
    assert warped_correlations(fast, back, band=0.25) < 0.5


def test_a_flat_recording_correlates_with_nothing():
    flat, other = torch.full((1, 1, 6, 3), 0.4), torch.rand(2, 1, 6, 3)
    assert torch.equal(warped_correlations(flat, other), torch.zeros(1, 2))
    assert torch.equal(warped_correlations(other, flat), torch.zeros(2, 1))


@pytest.mark.parametrize("axis", [2, 3])
def test_large_recordings_are_averaged(axis):
    """Over time and over channels, to a hundred of each."""
    draw = torch.Generator().manual_seed(0)
    small = torch.rand(3, 1, 100, 100, generator=draw)
    large = small.repeat_interleave(3, dim=axis)
    torch.testing.assert_close(
        warped_correlations(large, large[:2]), warped_correlations(small, small[:2])
    )
