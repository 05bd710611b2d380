"""The paper's targets: two fully connected layers, ordinary or spiking (PROTOCOL, Networks)."""

from math import prod

import torch
from torch import Tensor, nn

from brainleaks.networks.response import Response
from brainleaks.neuron import LIF
from brainleaks.neuron.dynamics import Surrogate
from brainleaks.neuron.synapse import spike_linear


class MLP(nn.Module):
    """``Linear(D, hidden)`` - sigmoid - ``Linear(hidden, C)``: images ``(B, C, H, W)`` to logits.

    ``drive``, ``respond`` and ``pull_back`` are as in :class:`SpikingMLP`.
    """

    spiking = False

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, hidden: int = 3000) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.fc1 = nn.Linear(prod(input_shape), hidden)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.respond(self.drive(images)).membrane[0]

    def drive(self, images: Tensor, *, bias: bool = True) -> Tensor:
        """Input of the hidden layer's sigmoid, ``(B, hidden)``; linear without the bias."""
        offset = self.fc1.bias if bias else None
        return nn.functional.linear(images.flatten(1), self.fc1.weight, offset)

    def respond(self, hidden: Tensor) -> Response:
        """The logits for an input of the hidden layer's sigmoid, as one time step."""
        return Response(None, self.fc2(torch.sigmoid(hidden)).unsqueeze(0))

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Transpose of :meth:`drive`: a gradient ``(B, hidden)`` to one on the images."""
        images: Tensor = (gradient @ self.fc1.weight).unflatten(-1, self.input_shape)
        return images

    @property
    def activations(self) -> int:
        """Values kept for one image during a backward pass."""
        return self.fc1.in_features + 3 * self.fc1.out_features


class SpikingMLP(nn.Module):
    """``Linear(D, hidden)`` - LIF - ``Linear(hidden, C)`` - LIF: spikes ``(T, B, C, H, W)``.

    The forward pass is :meth:`respond` after :meth:`drive`, which is affine: an attack can add up
    changes of the inputs, or gradients of many inputs, between the two.
    """

    spiking = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        *,
        hidden: int = 3000,
        beta: float,
        surrogate: Surrogate,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.fc1 = nn.Linear(prod(input_shape), hidden)
        self.lif1 = self._hidden_neurons(hidden, beta=beta, surrogate=surrogate)
        self.fc2 = nn.Linear(hidden, classes)
        self.lif2 = LIF(beta=beta, surrogate=surrogate)

    def _hidden_neurons(self, size: int, *, beta: float, surrogate: Surrogate) -> LIF:
        return LIF(beta=beta, surrogate=surrogate)

    def forward(self, spikes: Tensor) -> Response:
        return self.respond(self.drive(spikes))

    def drive(self, spikes: Tensor, *, bias: bool = True) -> Tensor:
        """Hidden layer's input current, ``(T, B, hidden)``; linear without the bias."""
        offset = self.fc1.bias if bias else torch.zeros_like(self.fc1.bias)
        return spike_linear(spikes.flatten(2), self.fc1.weight, offset)

    def respond(self, current: Tensor) -> Response:
        """Output layer's answer to the hidden layer's input current."""
        hidden, _ = self.lif1(current)
        return Response(*self.lif2(self.fc2(hidden)))

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Transpose of :meth:`drive`: a gradient ``(T, B, hidden)`` to one on the input."""
        images: Tensor = (gradient @ self.fc1.weight).unflatten(-1, self.input_shape)
        return images

    @property
    def activations(self) -> int:
        """Values kept for one sample and time step during a backward pass."""
        return self.fc1.in_features + 4 * self.fc1.out_features
