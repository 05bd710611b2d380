"""A network seen otherwise: behind an encoding, or by some of its classes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
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


class OneLogit(nn.Module):
    """A network with one output as one that distinguishes two classes.

    The logits are ``(0, z)``, whose softmax is the sigmoid of the output ``z``; those of a
    probability ``p`` are ``(log(1 - p), log p)``. One output neuron's spikes ``s`` become
    ``(1 - s, s)``: the second class is named if it fires in more than half of the time steps.

    Args:
        network: answers with ``(T, B, 1)`` or ``(B, 1)``.
        probability: whether it answers with probabilities.
    """

    def __init__(self, network: Any, *, probability: bool = False) -> None:
        super().__init__()
        self.network, self.probability = network, probability
        self.spiking = bool(network.spiking)

    def forward(self, inputs: Tensor) -> Response:
        spikes, membrane = respond(self.network, inputs)
        fired = None if spikes is None else torch.cat([1 - spikes, spikes], -1)
        if spikes is not None and spikes is membrane:
            return Response(fired, torch.cat([1 - spikes, spikes], -1))
        return Response(fired, logits_of(membrane, probability=self.probability))

    @property
    def activations(self) -> int:
        """As of the network."""
        return int(self.network.activations)


def logits_of(output: Tensor, *, probability: bool) -> Tensor:
    """Two logits ``(..., 2)`` of one output ``(..., 1)``; see :class:`OneLogit`."""
    if not probability:
        return torch.cat([torch.zeros_like(output), output], -1)
    bounded = output.clamp(1e-7, 1 - 1e-7)
    return torch.cat([torch.log1p(-bounded), bounded.log()], -1)
