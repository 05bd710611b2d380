"""brainleaks: what a trained spiking neural network gives away about its training data."""

import importlib
from typing import TYPE_CHECKING, Any

from brainleaks.errors import AccessError, InputError

if TYPE_CHECKING:
    from brainleaks._gpu import exact_on_gpu
    from brainleaks._memory import keep_freed_memory
    from brainleaks.attacks import BrainLeaksV1, BrainLeaksV2, Fredrikson
    from brainleaks.neuron import LIF, ArcTan, FastSigmoid, lif
    from brainleaks.result import Result, load
    from brainleaks.target import Target

    __version__: str

__all__ = [
    "LIF",
    "AccessError",
    "ArcTan",
    "BrainLeaksV1",
    "BrainLeaksV2",
    "FastSigmoid",
    "Fredrikson",
    "InputError",
    "Result",
    "Target",
    "__version__",
    "exact_on_gpu",
    "keep_freed_memory",
    "lif",
    "load",
]

#: Where each public name is defined; importing any of these modules brings torch.
_HOMES = {
    "BrainLeaksV1": "attacks",
    "BrainLeaksV2": "attacks",
    "Fredrikson": "attacks",
    "LIF": "neuron",
    "ArcTan": "neuron",
    "FastSigmoid": "neuron",
    "lif": "neuron",
    "Result": "result",
    "load": "result",
    "Target": "target",
    "exact_on_gpu": "_gpu",
    "keep_freed_memory": "_memory",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("brainleaks")
    if name not in _HOMES:
        raise AttributeError(f"module 'brainleaks' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"brainleaks.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
