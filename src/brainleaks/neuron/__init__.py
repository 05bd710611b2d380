"""The leaky integrate-and-fire neuron and the layers of synapses before it."""

from brainleaks.neuron.dynamics import LIF, ArcTan, FastSigmoid, lif
from brainleaks.neuron.recurrence import RecurrentLIF, recurrent_lif

__all__ = ["LIF", "ArcTan", "FastSigmoid", "RecurrentLIF", "lif", "recurrent_lif"]
