"""brainleaks: what a trained spiking neural network gives away about its training data."""

from importlib import metadata

from brainleaks._gpu import exact_on_gpu
from brainleaks._memory import keep_freed_memory

__version__ = metadata.version("brainleaks")

from brainleaks.attacks import BrainLeaksV1, BrainLeaksV2, Fredrikson
from brainleaks.errors import AccessError, InputError
from brainleaks.neuron import LIF, ArcTan, FastSigmoid, lif
from brainleaks.target import Target

__all__ = [
    "LIF",
    "AccessError",
    "ArcTan",
    "BrainLeaksV1",
    "BrainLeaksV2",
    "FastSigmoid",
    "Fredrikson",
    "InputError",
    "Target",
    "__version__",
    "exact_on_gpu",
    "keep_freed_memory",
    "lif",
]
