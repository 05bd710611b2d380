"""Synapses: the affine map from spikes to input currents.

A dense product multiplies by every zero. Where few inputs fire, which is the rule for rate-coded
digits and event cameras, it is cheaper to add up the weights of those that do; the crossover
is measured by ``make bench``, and both ways give the same sums up to rounding.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

try:
    from brainleaks.neuron import _sparse
    from brainleaks.neuron._threads import match_torch_threads
except (ImportError, RuntimeError):  # no compiler, or no place to keep its work: go dense
    _sparse = None  # type: ignore[assignment]

#: Share of non-zero inputs up to which adding weights beats the dense product.
EVENT_DRIVEN_BELOW = 0.22


def spike_linear(spikes: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``spikes @ weight.T + bias``, event-driven where few inputs are non-zero.

    Args:
        spikes: ``(..., D)``, any values; the fewer differ from zero, the cheaper.
        weight: ``(H, D)``.
        bias: ``(H,)``.

    Returns:
        Currents, ``(..., H)``; differentiable once in all three.
    """
    if _is_sparse(spikes):
        return event_driven_linear(spikes, weight, bias)
    return functional.linear(spikes, weight, bias)


def event_driven_linear(spikes: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As :func:`spike_linear`, event-driven whatever the share of non-zero inputs; CPU only."""
    currents: Tensor = _EventDriven.apply(spikes, weight, bias)  # type: ignore[no-untyped-call]
    return currents


def _is_sparse(spikes: Tensor) -> bool:
    if (
        _sparse is None
        or spikes.device.type != "cpu"
        or spikes.dtype not in (torch.float32, torch.float64)
        or spikes.numel() == 0
    ):
        return False
    match_torch_threads()
    return bool(_sparse.count(_rows(spikes).numpy()) <= EVENT_DRIVEN_BELOW * spikes.numel())


def _rows(tensor: Tensor) -> Tensor:
    """``(..., D)`` as ``(M, D)``."""
    return tensor.detach().reshape(-1, tensor.shape[-1]).contiguous()


class _EventDriven(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spikes: Tensor, weight: Tensor, bias: Tensor) -> Any:
        match_torch_threads()
        flat = _rows(spikes)
        compressed = _sparse.compress(flat.numpy())
        out = spikes.new_empty(len(flat), len(weight))
        arrays = [a.detach().contiguous().numpy() for a in (weight, bias, out)]
        _sparse.multiply(*compressed, *arrays)
        ctx.compressed = compressed
        ctx.save_for_backward(weight)
        return out.reshape(*spikes.shape[:-1], len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        to_spikes = to_weight = to_bias = None
        flat = _rows(gradient)
        if ctx.needs_input_grad[0]:
            to_spikes = gradient @ weight
        if ctx.needs_input_grad[1]:
            match_torch_threads()
            to_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
            _sparse.outer(*ctx.compressed, flat.numpy(), to_weight.numpy())
        if ctx.needs_input_grad[2]:
            to_bias = flat.sum(0)
        return to_spikes, to_weight, to_bias
