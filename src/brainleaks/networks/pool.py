"""2 x 2 max-pooling of frames whose channels lie side by side in memory.

Torch's own takes about half of a spiking evaluator's forward pass; values and gradients are its.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

try:
    from brainleaks.networks import _pool
    from brainleaks.neuron._threads import match_torch_threads
except (ImportError, RuntimeError):  # no compiler, or no place to keep its work: leave it to torch
    _pool = None  # type: ignore[assignment]


def max_pool(frames: Tensor) -> Tensor:
    """``max_pool2d(frames, 2)``: ``(N, C, H, W)`` to ``(N, C, H // 2, W // 2)``.

    The result's memory order is ``channels_last``; differentiable twice.
    """
    if _pool is None or frames.device.type != "cpu" or frames.dtype != torch.float32:
        return functional.max_pool2d(frames, 2)
    pooled: Tensor = _MaxPool.apply(frames)  # type: ignore[no-untyped-call]
    return pooled


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, frames: Tensor) -> Any:
        match_torch_threads()
        x = _channels_last(frames)
        n, height, width, channels = x.shape
        largest = x.new_empty(n, height // 2, width // 2, channels)
        which = torch.empty_like(largest, dtype=torch.int32)
        _pool.forward(x.numpy(), largest.numpy(), which.numpy())
        ctx.which, ctx.shape = which, x.shape
        return largest.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Unpool.apply(gradient, ctx.which, ctx.shape)  # type: ignore[no-untyped-call]


class _Unpool(torch.autograd.Function):
    """The transpose of pooling, whose own is to take each value from where the largest was."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, which: Tensor, shape: torch.Size) -> Any:
        match_torch_threads()
        to_x = gradient.new_empty(shape)
        _pool.backward(_channels_last(gradient).numpy(), which.numpy(), to_x.numpy())
        ctx.which = which
        return to_x.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        match_torch_threads()
        taken = gradient.new_empty(ctx.which.shape)
        _pool.take(_channels_last(gradient).numpy(), ctx.which.numpy(), taken.numpy())
        return taken.permute(0, 3, 1, 2), None, None


def _channels_last(frames: Tensor) -> Tensor:
    """``(N, C, H, W)`` as contiguous ``(N, H, W, C)``; free where memory lies so already."""
    return frames.detach().permute(0, 2, 3, 1).contiguous()
