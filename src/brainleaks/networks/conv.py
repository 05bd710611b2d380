"""The paper's evaluators: two convolutions, ordinary or spiking (PROTOCOL, Networks)."""

from math import prod

import torch
from torch import Tensor, nn

from brainleaks.networks.pool import max_pool
from brainleaks.networks.response import Response
from brainleaks.neuron import LIF
from brainleaks.neuron.dynamics import Surrogate

#: So many frames are convolved and pooled at a time: their activations stay in the cache.
PIECE = 250


class ConvNet(nn.Module):
    """``Conv(12)`` - ReLU - pool - ``Conv(24)`` - ReLU - pool - ``Linear``: images to logits."""

    spiking = False

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, *, kernel: int = 5, padding: int = 0
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.conv1, self.conv2, self.fc1 = _layers(input_shape, classes, kernel, padding)

    def forward(self, images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        features = max_pool(self.conv1(images).relu())
        features = max_pool(self.conv2(features).relu())
        logits: Tensor = self.fc1(features.flatten(1))
        return logits

    @property
    def activations(self) -> int:
        """Values kept for one image during a backward pass, about."""
        return 6 * self.conv1.out_channels * prod(self.input_shape[1:])


class SpikingConvNet(nn.Module):
    """``Conv(12)`` - pool - LIF - ``Conv(24)`` - pool - LIF - ``Linear`` - LIF.

    Spikes ``(T, B, C, H, W)`` in. Convolution and pooling keep no state: they see all time steps
    as frames ``(T*B, C, H, W)``, in pieces that stay in the cache.
    """

    spiking = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        *,
        kernel: int = 5,
        padding: int = 0,
        beta: float,
        surrogate: Surrogate,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.conv1, self.conv2, self.fc1 = _layers(input_shape, classes, kernel, padding)
        self.lif1, self.lif2, self.lif3 = (LIF(beta=beta, surrogate=surrogate) for _ in range(3))

    def forward(self, spikes: Tensor) -> Response:
        steps, batch = spikes.shape[:2]
        frames = spikes.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        for conv, lif in ((self.conv1, self.lif1), (self.conv2, self.lif2)):
            current = [max_pool(conv(piece)) for piece in frames.split(PIECE)]
            frames = _over_time(lif, torch.cat(current), steps)
        return Response(*self.lif3(self.fc1(frames.flatten(1)).unflatten(0, (steps, batch))))

    @property
    def activations(self) -> int:
        """Values kept for one sample and time step during a backward pass, about."""
        return 6 * self.conv1.out_channels * prod(self.input_shape[1:])


def _over_time(lif: LIF, current: Tensor, steps: int) -> Tensor:
    """Spikes of ``(T*B, C, H, W)`` currents, in the memory order that the convolutions like."""
    rows = current.permute(0, 2, 3, 1).contiguous()
    spikes: Tensor = lif(rows.unflatten(0, (steps, -1)))[0]
    return spikes.flatten(0, 1).permute(0, 3, 1, 2)


def _layers(
    input_shape: tuple[int, ...], classes: int, kernel: int, padding: int
) -> tuple[nn.Conv2d, nn.Conv2d, nn.Linear]:
    channels, *size = input_shape
    for _ in range(2):
        size = [(side + 2 * padding - kernel + 1) // 2 for side in size]
    if min(size) < 1:
        raise ValueError(
            f"input of shape {input_shape} is too small for two {kernel}x{kernel} convolutions "
            f"with padding {padding} and pooling; choose a smaller kernel or more padding."
        )
    conv1 = nn.Conv2d(channels, 12, kernel, padding=padding)
    conv2 = nn.Conv2d(12, 24, kernel, padding=padding)
    fc1 = nn.Linear(24 * size[0] * size[1], classes)
    # weights in the images' memory order, or every product reorders them first
    for conv in (conv1, conv2):
        conv.weight.data = conv.weight.data.contiguous(memory_format=torch.channels_last)
    return conv1, conv2, fc1
