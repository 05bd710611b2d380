"""A network seen otherwise: behind an encoding, or by some of its classes."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from brainleaks.networks.response import Response, respond


class Coded(nn.Module):
    """An encoding and the spiking network behind it, as one network of images ``(B, C, H, W)``.

    Args:
        network: takes ``(T, B, C, H, W)``.
        code: makes that of images, in a form that gradients pass.
        steps: how many time steps ``T`` it makes.
    """

    spiking = False

    def __init__(self, network: Any, code: Callable[[Tensor], Tensor], steps: int) -> None:
        super().__init__()
        self.network, self.code, self.steps = network, code, steps

    def forward(self, images: Tensor) -> Response:
        return respond(self.network, self.code(images))

    @property
    def activations(self) -> int:
        """Values kept for one image during a backward pass."""
        return int(self.network.activations) * self.steps


class OfClasses(nn.Module):
    """A network that answers for some of its classes alone, in the order given."""

    def __init__(self, network: Any, classes: Sequence[int]) -> None:
        super().__init__()
        self.network, self.classes = network, list(classes)
        self.spiking = bool(network.spiking)

    def forward(self, inputs: Tensor) -> Response:
        spikes, membrane = respond(self.network, inputs)
        kept = None if spikes is None else spikes[..., self.classes]
        return Response(kept, membrane[..., self.classes])

    @property
    def activations(self) -> int:
        """As of the whole network."""
        return int(self.network.activations)
