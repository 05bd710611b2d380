"""Leaky integrate-and-fire neurons that hear each other's spikes of the step before."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from brainleaks.neuron.dynamics import LIF, Surrogate


def recurrent_lif(
    current: Tensor, weight: Tensor, *, beta: float, threshold: float = 1.0, surrogate: Surrogate
) -> tuple[Tensor, Tensor]:
    """Run recurrent neurons over all time steps; differentiable once.

    ``v[t] = beta v[t-1] + current[t] + weight s[t-1] - threshold s[t-1]``, and ``s[t] = 1`` where
    ``v[t] > threshold``: the delayed reset of :func:`brainleaks.neuron.lif`, and snnTorch's
    ``RLeaky``. As there, no gradient passes the reset.

    Args:
        current: from outside, ``(T, ..., N)``, floating point.
        weight: from neuron ``j`` to neuron ``i`` at ``[i, j]``, ``(N, N)``.
        beta: share of the membrane kept from one step to the next, in [0, 1].
        threshold: membrane above which (strictly) a neuron fires.
        surrogate: what stands for the spike's derivative in the backward pass.

    Returns:
        ``(spikes, membrane)``, both of the shape and type of ``current``.
    """
    rows = current.reshape(len(current), -1, current.shape[-1])
    spikes, membrane = _Scan.apply(rows, weight, beta, threshold, surrogate)  # type: ignore[no-untyped-call]
    return spikes.view_as(current), membrane.view_as(current)


class RecurrentLIF(LIF):
    """A layer of :func:`recurrent_lif` neurons: ``(T, B, N)`` currents to ``(spikes, membrane)``.

    The recurrent weights start as those of PyTorch's recurrent layers, within ``1 / sqrt(N)``.
    """

    def __init__(
        self, size: int, *, beta: float, surrogate: Surrogate, threshold: float = 1.0
    ) -> None:
        super().__init__(beta=beta, surrogate=surrogate, threshold=threshold)
        self.recurrent = nn.Linear(size, size, bias=False)

    def forward(self, current: Tensor) -> tuple[Tensor, Tensor]:
        return recurrent_lif(
            current,
            self.recurrent.weight,
            beta=self.beta,
            threshold=self.threshold,
            surrogate=self.surrogate,
        )


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        weight: Tensor,
        beta: float,
        threshold: float,
        surrogate: Surrogate,
    ) -> Any:
        spikes, membrane = torch.empty_like(current), torch.empty_like(current)
        v, spike = torch.zeros_like(current[0]), torch.zeros_like(current[0])
        for t in range(len(current)):
            heard = torch.addmm(current[t], spike, weight.T)
            v = torch.add(heard, v, alpha=beta).sub_(spike, alpha=threshold)
            spike = (v > threshold).to(v.dtype)
            spikes[t], membrane[t] = spike, v
        ctx.save_for_backward(spikes, membrane, weight)
        ctx.constants = beta, threshold, surrogate.coefficients
        return spikes, membrane

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spikes: Tensor, grad_membrane: Tensor) -> Any:
        spikes, membrane, weight = ctx.saved_tensors
        beta, threshold, (gain, sharpness, linear) = ctx.constants
        distance = (membrane - threshold).abs_().mul_(sharpness)
        slope = gain / (1 + linear * distance + distance * distance)
        grad = torch.empty_like(membrane)
        carry, heard = torch.zeros_like(grad[0]), torch.zeros_like(grad[0])
        for t in range(len(membrane) - 1, -1, -1):
            to_spike = (grad_spikes[t] + heard) * slope[t]
            now = carry.add_(grad_membrane[t]).add_(to_spike)
            grad[t] = now
            heard, carry = now @ weight, now * beta
        before, after = spikes[:-1].flatten(0, 1), grad[1:].flatten(0, 1)
        to_weight = after.T @ before if ctx.needs_input_grad[1] else None
        return grad, to_weight, None, None, None
