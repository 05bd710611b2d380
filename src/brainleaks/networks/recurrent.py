"""A recurrent spiking network, for recordings of channels such as sound."""

from math import prod

import torch
from torch import Tensor, nn

from brainleaks.networks.response import Response
from brainleaks.neuron import LIF, RecurrentLIF
from brainleaks.neuron.dynamics import Surrogate
from brainleaks.neuron.synapse import spike_linear


class SpikingRecurrent(nn.Module):
    """``Linear(D, hidden)`` - recurrent LIF - ``Linear(hidden, C)`` - LIF: ``(T, B, ...)`` spikes.

    The networks of the Heidelberg data sets' paper have one such hidden layer (Cramer et al. 2020,
    arXiv 1910.07407); their neurons are second order, ours first. ``drive``, ``respond`` and
    ``pull_back`` are as in :class:`brainleaks.networks.SpikingMLP`.
    """

    spiking = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        *,
        hidden: int = 256,
        beta: float,
        surrogate: Surrogate,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.fc1 = nn.Linear(prod(input_shape), hidden)
        self.lif1 = RecurrentLIF(hidden, beta=beta, surrogate=surrogate)
        self.fc2 = nn.Linear(hidden, classes)
        self.lif2 = LIF(beta=beta, surrogate=surrogate)

    def forward(self, spikes: Tensor) -> Response:
        return self.respond(self.drive(spikes))

    def drive(self, spikes: Tensor, *, bias: bool = True) -> Tensor:
        """Hidden layer's current from outside, ``(T, B, hidden)``; linear without the bias."""
        offset = self.fc1.bias if bias else torch.zeros_like(self.fc1.bias)
        return spike_linear(spikes.flatten(2), self.fc1.weight, offset)

    def respond(self, current: Tensor) -> Response:
        """Output layer's answer to the hidden layer's current from outside."""
        hidden, _ = self.lif1(current)
        return Response(*self.lif2(self.fc2(hidden)))

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Transpose of :meth:`drive`: a gradient ``(T, B, hidden)`` to one on the input."""
        images: Tensor = (gradient @ self.fc1.weight).unflatten(-1, self.input_shape)
        return images

    @property
    def activations(self) -> int:
        """Values kept for one sample and time step during a backward pass."""
        return self.fc1.in_features + 5 * self.fc1.out_features
