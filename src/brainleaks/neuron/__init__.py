"""The leaky integrate-and-fire neuron and the layers of synapses before it."""

from brainleaks.neuron.dynamics import LIF, ArcTan, FastSigmoid, lif

__all__ = ["LIF", "ArcTan", "FastSigmoid", "lif"]
