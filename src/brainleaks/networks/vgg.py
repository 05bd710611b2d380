"""Deeper convolutional targets for natural images: VGG-like blocks, ordinary or spiking.

A block is ``depth`` convolutions of 3 x 3 with batch norm, the last of them pooled to half of the
sides, as in VGG (Simonyan and Zisserman 2015, arXiv 1409.1556), whose fully connected layers are
one here. Spiking networks of this kind have LIF neurons instead of ReLU (the VGGSNN of Deng et al.
2022, arXiv 2202.11946).
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainleaks.networks.conv import PIECE
from brainleaks.networks.pool import max_pool
from brainleaks.networks.response import Response
from brainleaks.neuron import LIF
from brainleaks.neuron.dynamics import Surrogate

Pooling = Literal["max", "average"]


class VGG(nn.Module):
    """``depth`` times (``Conv(3 x 3)`` - batch norm - ReLU) a block, then ``Linear``.

    Images ``(B, C, H, W)`` to logits ``(B, classes)``. The last convolution of a block is pooled
    before its batch norm.

    Args:
        input_shape: ``(C, H, W)``; each block halves the sides, rounded down.
        classes: how many.
        widths: output channels of each block's convolutions.
        depth: convolutions in a block.
        pooling: ``"max"`` or ``"average"``, over 2 x 2.

    Raises:
        ValueError: if the input is too small to be halved so often.
    """

    spiking = False

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        *,
        widths: Sequence[int] = (32, 64, 128),
        depth: int = 1,
        pooling: Pooling = "max",
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.convolutions, self.norms, self.fc = _layers(input_shape, classes, widths, depth)
        self.depth, self.pooling = depth, pooling

    def forward(self, images: Tensor) -> Tensor:
        features = images.contiguous(memory_format=torch.channels_last)
        for i, norm in enumerate(self.norms):
            features = norm(_current(self, i, features)).relu()
        logits: Tensor = self.fc(features.flatten(1))
        return logits

    @property
    def activations(self) -> int:
        """Values kept for one image during a backward pass, about."""
        return _activations(self.input_shape, self.norms, self.depth)


class SpikingVGG(nn.Module):
    """``depth`` times (``Conv(3 x 3)`` - batch norm - LIF) a block, then ``Linear`` - LIF.

    Currents or spikes ``(T, B, C, H, W)`` in, a :class:`Response` with traces ``(T, B, classes)``
    out. Pooling comes before batch norm, as in :class:`VGG`, so that what passes from layer to
    layer is binary.

    Batch norm has one mean and one variance a channel, over the batch, all time steps and the
    picture plane, as in threshold-dependent batch norm (Zheng et al. 2021, arXiv 2011.05280); its
    weights begin at 1, which is the threshold. Without training, the running averages of both are
    used, and a sample's answer does not depend on the rest of its batch.

    Args:
        input_shape: ``(C, H, W)`` of a time step; each block halves the sides, rounded down.
        classes: how many.
        widths: output channels of each block's convolutions.
        depth: convolutions in a block.
        pooling: ``"max"`` or ``"average"``, over 2 x 2.
        beta: share of the membrane that is kept from one time step to the next.
        surrogate: what stands for the spike's derivative.

    Raises:
        ValueError: if the input is too small to be halved so often.
    """

    spiking = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        *,
        widths: Sequence[int] = (32, 64, 128),
        depth: int = 1,
        pooling: Pooling = "max",
        beta: float,
        surrogate: Surrogate,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.convolutions, self.norms, self.fc = _layers(input_shape, classes, widths, depth)
        self.depth, self.pooling = depth, pooling
        neurons = (LIF(beta=beta, surrogate=surrogate) for _ in self.norms)
        self.neurons = nn.ModuleList(neurons)
        self.output = LIF(beta=beta, surrogate=surrogate)

    def forward(self, spikes: Tensor) -> Response:
        steps = len(spikes)
        constant = steps > 1 and spikes.stride(0) == 0
        # a direct code gives every time step the same image: its first layer is computed once
        frames = spikes[0] if constant else spikes.flatten(0, 1)
        frames = frames.contiguous(memory_format=torch.channels_last)
        for i, (norm, lif) in enumerate(zip(self.norms, self.neurons, strict=True)):
            current = norm(_current(self, i, frames)).permute(0, 2, 3, 1)
            once = constant and i == 0
            rows = current.expand(steps, *current.shape) if once else _by_time(current, steps)
            frames = lif(rows)[0].flatten(0, 1).permute(0, 3, 1, 2)
        return Response(*self.output(_by_time(self.fc(frames.flatten(1)), steps)))

    @property
    def activations(self) -> int:
        """Values kept for one sample and time step during a backward pass, about."""
        return _activations(self.input_shape, self.norms, self.depth)


def _by_time(rows: Tensor, steps: int) -> Tensor:
    """``(T*B, ...)`` as ``(T, B, ...)``."""
    by_time: Tensor = rows.contiguous().unflatten(0, (steps, -1))
    return by_time


def _current(network: VGG | SpikingVGG, layer: int, frames: Tensor) -> Tensor:
    """One convolution of all frames, pooled where its block ends, in pieces that stay in cache."""
    ends = (layer + 1) % network.depth == 0
    pool = _POOLS[network.pooling] if ends else torch.nn.Identity()
    conv = network.convolutions[layer]
    return torch.cat([pool(conv(piece)) for piece in frames.split(PIECE)])


def _halved(frames: Tensor) -> Tensor:
    return functional.avg_pool2d(frames, 2)


_POOLS: dict[Pooling, Callable[[Tensor], Tensor]] = {"max": max_pool, "average": _halved}


def _layers(
    input_shape: tuple[int, ...], classes: int, widths: Sequence[int], depth: int
) -> tuple[nn.ModuleList, nn.ModuleList, nn.Linear]:
    """The convolutions, without a bias as batch norm has one; the batch norms; the last layer."""
    channels, *sides = input_shape
    sides = [side >> len(widths) for side in sides]
    if min(sides) < 1:
        raise ValueError(
            f"input of shape {input_shape} is too small to be halved {len(widths)} times; choose "
            "fewer widths."
        )
    wide = [width for width in widths for _ in range(depth)]
    convolutions = [
        nn.Conv2d(before, width, 3, padding=1, bias=False)
        for before, width in zip([channels, *wide], wide, strict=False)
    ]
    # weights in the images' memory order, or every product reorders them first
    for conv in convolutions:
        conv.weight.data = conv.weight.data.contiguous(memory_format=torch.channels_last)
    norms = [nn.BatchNorm2d(width) for width in wide]
    last = nn.Linear(wide[-1] * prod(sides), classes)
    return nn.ModuleList(convolutions), nn.ModuleList(norms), last


def _activations(input_shape: tuple[int, ...], norms: nn.ModuleList, depth: int) -> int:
    """A convolution's output, and after pooling what batch norm and neurons keep of it."""
    plane = prod(input_shape[1:])
    total = prod(input_shape)
    for i, norm in enumerate(norms):
        before, after = plane >> 2 * (i // depth), plane >> 2 * ((i + 1) // depth)
        total += len(norm.weight) * (before + 4 * after)  # type: ignore[arg-type]
    return total
