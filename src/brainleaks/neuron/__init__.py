"""The leaky integrate-and-fire neuron and the layers of synapses before it."""

from brainleaks.neuron.dynamics import LIF, ArcTan, FastSigmoid, Reset, Surrogate, lif

__all__ = ["LIF", "ArcTan", "FastSigmoid", "Reset", "Surrogate", "lif"]
