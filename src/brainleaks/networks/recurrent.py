"""A recurrent spiking network, for recordings of channels such as sound."""

from brainleaks.networks.mlp import SpikingMLP
from brainleaks.neuron import LIF, RecurrentLIF
from brainleaks.neuron.dynamics import Surrogate


class SpikingRecurrent(SpikingMLP):
    """``Linear(D, hidden)`` - recurrent LIF - ``Linear(hidden, C)`` - LIF: ``(T, B, ...)`` spikes.

    The networks of the Heidelberg data sets' paper have one such hidden layer (Cramer et al. 2020,
    arXiv 1910.07407); their neurons are second order, ours first.
    """

    def _hidden_neurons(self, size: int, *, beta: float, surrogate: Surrogate) -> LIF:
        return RecurrentLIF(size, beta=beta, surrogate=surrogate)

    @property
    def activations(self) -> int:
        """Values kept for one sample and time step during a backward pass."""
        return super().activations + self.fc1.out_features
