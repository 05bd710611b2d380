"""Pooling against torch's, value for value."""

import pytest
import torch
from torch.nn import functional

from brainleaks.networks import pool
from brainleaks.networks.pool import max_pool

SHAPES = [(3, 12, 24, 24), (2, 5, 7, 9), (1, 1, 2, 2), (2, 3, 3, 2)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("levels", [3, 1000])
def test_is_torchs(shape, layout, levels):
    """Few levels make many ties, which go to the first; an odd last row or column is left out."""
    torch.manual_seed(0)
    values = torch.randint(-levels, levels, shape).float().contiguous(memory_format=layout)
    ours, theirs = (values.clone().requires_grad_() for _ in range(2))
    pooled, reference = max_pool(ours), functional.max_pool2d(theirs, 2)
    assert torch.equal(pooled, reference)
    assert pooled.is_contiguous(memory_format=torch.channels_last)
    pull = torch.randn_like(reference)
    pooled.backward(pull)
    reference.backward(pull)
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("shape", SHAPES)
def test_second_derivatives_are_torchs(shape):
    torch.manual_seed(0)
    values, found = torch.randn(shape), []
    for way in (max_pool, lambda frames: functional.max_pool2d(frames, 2)):
        frames = values.clone().requires_grad_()
        (first,) = torch.autograd.grad((way(frames) ** 3).sum(), frames, create_graph=True)
        found.append(torch.autograd.grad((first**2).sum(), frames)[0])
    assert torch.equal(*found)


def test_nan_is_not_lost():
    """A training that diverged must not look healthy."""
    frames = torch.zeros(1, 1, 4, 4)
    frames[0, 0, 1, 2] = torch.nan
    assert torch.equal(max_pool(frames).isnan(), functional.max_pool2d(frames, 2).isnan())


def test_without_a_compiler(monkeypatch):
    monkeypatch.setattr(pool, "_pool", None)
    frames = torch.randn(2, 3, 6, 6)
    assert torch.equal(max_pool(frames), functional.max_pool2d(frames, 2))
