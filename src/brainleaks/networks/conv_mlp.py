"""Two ordinary convolutions before a head of two layers, which is ordinary or spiking.

Moshruba, Alouani and Parsa compare the two for membership (PoPETs 2025, arXiv 2411.06613).
"""

from math import prod

import torch
from torch import Tensor, nn

from brainleaks.networks.pool import max_pool
from brainleaks.networks.response import Response
from brainleaks.neuron import LIF
from brainleaks.neuron.dynamics import Surrogate


class ConvMLP(nn.Module):
    """``Conv(32)`` - ReLU - pool - ``Conv(64)`` - ReLU - pool - ``Linear`` - ReLU - ``Linear``.

    Images ``(B, C, H, W)`` to logits ``(B, classes)``; convolutions are 3 x 3 with padding, pooling
    takes the largest of 2 x 2.

    Args:
        input_shape: ``(C, H, W)``, with sides of 4 at least.
        classes: how many.
        hidden: units of the head's first layer.

    Raises:
        ValueError: if the input is too small to be pooled twice.
    """

    spiking = False

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, hidden: int = 1000) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.conv1, self.conv2, self.fc1, self.fc2 = _layers(input_shape, classes, hidden)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc2(self.fc1(_encoded(self, images)).relu())
        return logits

    @property
    def activations(self) -> int:
        """Values kept for one image during a backward pass, about."""
        return _activations(self.input_shape, self.fc1)


class SpikingConvMLP(nn.Module):
    """The same with a spiking head: ``Linear`` - LIF - ``Linear`` - LIF after the convolutions.

    Currents ``(T, B, C, H, W)`` in, a :class:`Response` with traces ``(T, B, classes)`` out. The
    convolutions are ordinary: behind a direct code, which gives every time step the same image,
    they encode it once, and the head is given the same current at every time step.

    Args:
        input_shape: ``(C, H, W)`` of a time step, with sides of 4 at least.
        classes: how many.
        hidden: neurons of the head's first layer.
        beta: share of the membrane that is kept from one time step to the next.
        surrogate: what stands for the spike's derivative.

    Raises:
        ValueError: if the input is too small to be pooled twice.
    """

    spiking = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        *,
        hidden: int = 1000,
        beta: float,
        surrogate: Surrogate,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.conv1, self.conv2, self.fc1, self.fc2 = _layers(input_shape, classes, hidden)
        self.lif1, self.lif2 = (LIF(beta=beta, surrogate=surrogate) for _ in range(2))

    def forward(self, currents: Tensor) -> Response:
        steps, batch = currents.shape[:2]
        if currents.stride(0) == 0:
            once = self.fc1(_encoded(self, currents[0]))
            hidden = once.expand(steps, *once.shape)
        else:
            hidden = self.fc1(_encoded(self, currents.flatten(0, 1))).unflatten(0, (steps, batch))
        return Response(*self.lif2(self.fc2(self.lif1(hidden)[0])))

    @property
    def activations(self) -> int:
        """Values kept for one sample and time step during a backward pass, about."""
        return _activations(self.input_shape, self.fc1)


def _encoded(network: ConvMLP | SpikingConvMLP, images: Tensor) -> Tensor:
    features = images.contiguous(memory_format=torch.channels_last)
    for conv in (network.conv1, network.conv2):
        features = max_pool(conv(features).relu())
    return features.flatten(1)


def _layers(
    input_shape: tuple[int, ...], classes: int, hidden: int
) -> tuple[nn.Conv2d, nn.Conv2d, nn.Linear, nn.Linear]:
    channels, height, width = input_shape
    if min(height, width) < 4:
        raise ValueError(f"input of shape {input_shape} is too small to be pooled twice.")
    conv1 = nn.Conv2d(channels, 32, 3, padding=1)
    conv2 = nn.Conv2d(32, 64, 3, padding=1)
    # weights in the images' memory order, or every product reorders them first
    for conv in (conv1, conv2):
        conv.weight.data = conv.weight.data.contiguous(memory_format=torch.channels_last)
    features = 64 * (height // 4) * (width // 4)
    return conv1, conv2, nn.Linear(features, hidden), nn.Linear(hidden, classes)


def _activations(input_shape: tuple[int, ...], head: nn.Linear) -> int:
    plane = prod(input_shape[1:])
    return 2 * 32 * plane + 2 * 64 * (plane // 4) + head.in_features + 4 * head.out_features
