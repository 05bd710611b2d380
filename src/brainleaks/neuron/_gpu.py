"""The LIF recursion compiled for the GPU (Triton), one launch and one pass over memory each way.

:mod:`brainleaks.neuron.dynamics` holds the equations, and :mod:`brainleaks.neuron._cpu` says of the
switches what they are. Stepped in plain torch, each time step is a dozen launches of less work than
a launch costs; here a program takes a block of neurons through all of time, its state in registers.
As on the CPU there is no fused multiply-add and no approximate division, so that no spike falls on
the other side of the threshold. Single precision only: Triton takes scalars in no other.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256


def forward(current: Tensor, constants: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """``(spikes, before, membrane)``, each ``(T, ...)`` like ``current``."""
    current = current.contiguous()
    spikes, membrane = torch.empty_like(current), torch.empty_like(current)
    immediate = bool(constants[-1])
    before = torch.empty_like(current) if immediate else membrane
    _launch(_forward, (current, spikes, before, membrane), constants, keeps_before=immediate)
    return spikes, before, membrane


def backward(
    grad_spikes: Tensor | None,
    grad_membrane: Tensor | None,
    before: Tensor,
    membrane: Tensor,
    constants: tuple[float, ...],
    coefficients: tuple[float, ...],
) -> Tensor:
    """The gradient of ``current``; one that is absent is ``None``."""
    grad_current = torch.empty_like(before)
    present = {"has_spikes": grad_spikes is not None, "has_membrane": grad_membrane is not None}
    gradients = [before if g is None else g.contiguous() for g in (grad_spikes, grad_membrane)]
    arrays = (grad_current, *gradients, before, membrane)
    _launch(_backward, arrays, constants + coefficients, **present)
    return grad_current


def _launch(kernel, arrays, constants, **switches):
    steps, neurons = len(arrays[0]), arrays[0][:1].numel()
    if neurons == 0:
        return
    with torch.cuda.device_of(arrays[0]):
        kernel[(triton.cdiv(neurons, _BLOCK),)](
            *arrays, steps, neurons, *constants, **switches, size=_BLOCK, enable_fp_fusion=False
        )


@triton.jit(do_not_specialize=["steps", "neurons"])
def _forward(
    current,
    spikes,
    before,
    membrane,
    steps,
    neurons,
    beta,
    threshold,
    subtract,
    zero,
    immediate,
    keeps_before: tl.constexpr,
    size: tl.constexpr,
):
    block = tl.program_id(0) * size + tl.arange(0, size)
    inside = block < neurons
    at = block.to(tl.int64)
    state = tl.zeros((size,), tl.float32)
    for _ in range(steps):
        inflow = tl.load(current + at, mask=inside, other=0.0)
        reset = (state > threshold).to(tl.float32)
        v = beta * (state * (1.0 - zero * reset)) + inflow - reset * (subtract * threshold)
        spike = (v > threshold).to(tl.float32)
        state = v - immediate * (spike - reset) * (subtract * threshold + zero * v)
        tl.cache(spikes + at, spike, mask=inside)
        tl.cache(membrane + at, state, mask=inside)
        if keeps_before:
            tl.cache(before + at, v, mask=inside)
        at += neurons


@triton.jit(do_not_specialize=["steps", "neurons"])
def _backward(
    grad_current,
    grad_spikes,
    grad_membrane,
    before,
    membrane,
    steps,
    neurons,
    beta,
    threshold,
    subtract,
    zero,
    immediate,
    gain,
    sharpness,
    linear,
    has_spikes: tl.constexpr,
    has_membrane: tl.constexpr,
    size: tl.constexpr,
):
    block = tl.program_id(0) * size + tl.arange(0, size)
    inside = block < neurons
    at = block.to(tl.int64) + neurons * tl.cast(steps - 1, tl.int64)
    carry = tl.zeros((size,), tl.float32)
    for _ in range(steps):
        if has_membrane:
            carry += tl.load(grad_membrane + at, mask=inside, other=0.0)
        v = tl.load(before + at, mask=inside, other=0.0)
        earlier = inside & (at >= neurons)
        previous = tl.load(membrane + at - neurons, mask=earlier, other=0.0)
        reset = (previous > threshold).to(tl.float32)
        spike = (v > threshold).to(tl.float32)
        q = sharpness * tl.abs(v - threshold)
        slope = tl.div_rn(gain, 1.0 + linear * q + q * q)
        to_spike = -carry * (immediate * (subtract * threshold + zero * v))
        if has_spikes:
            to_spike += tl.load(grad_spikes + at, mask=inside, other=0.0)
        grad = carry * (1.0 - immediate * zero * (spike - reset)) + to_spike * slope
        tl.cache(grad_current + at, grad, mask=inside)
        carry = beta * grad * (1.0 - zero * reset)
        at -= neurons
