"""Networks in memory: a module of any framework, or a function."""

import copy
import importlib
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.adapters import pytorch
from brainleaks.adapters.adapted import Adapted, settled
from brainleaks.adapters.callable import Service
from brainleaks.adapters.graph import Graph, connect
from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import Neuron
from brainleaks.adapters.trace import Watched, parts_of, watch
from brainleaks.adapters.validate import FRAMEWORKS, check_framework, check_samples, few
from brainleaks.adapters.wrap import Original, find_call
from brainleaks.errors import InputError, option
from brainleaks.networks.views import OneLogit

#: Steps of a backward pass that change no values.
_RESHAPES = ("Unsqueeze", "Squeeze", "View", "Reshape", "UnsafeView", "Stack", "Select")


def adapt(
    module: nn.Module | Callable[[Tensor], Any],
    *,
    framework: str | None = None,
    samples: Tensor,
    classes: int,
) -> Adapted:
    """Adapt a network in memory, without changing it.

    Args:
        module: a torch module, or a function that answers with scores or labels alone.
        framework: one of :data:`FRAMEWORKS`, NIR excepted; ``None`` to find out.
        samples: as in :func:`load_model`.
        classes: how many classes the network tells apart.

    Raises:
        InputError: one sentence on why the network cannot be audited.
    """
    check_samples(samples)
    check_framework(framework)
    if not isinstance(module, nn.Module):
        service = Service(module, samples, classes)
        return Adapted(service, "torch", False, _service_facts(service))
    adapter = _adapter(module, framework)
    adapter.check(module)
    notes = _notes(module)
    module = _copy(module, adapter)
    sample = few(samples)
    call = find_call(module, adapter, sample, classes)
    spiking = samples.ndim == 5
    original = Original(module, adapter, call, spiking=spiking, activations=0)
    watched = watch(module, adapter.is_neuron, lambda: original(sample))
    original.activations = _activations(watched, sample)
    _check_steady(original, sample)
    if adapter is pytorch and spiking and _has_no_memory(original, sample):
        notes.append(
            "it answers each time step alone, as an ordinary network does; if it takes images, "
            f"give {option('framework', 'torch')} or {option('encoding', 'none')}."
        )
    differentiable = _differentiates(original, sample)
    if not differentiable:
        notes.append("no gradients reach its inputs in eval mode; it can grant scores at most.")
    facts = {
        "framework": adapter.NAME,
        "version": adapter.version(),
        "layers": [f"{seen.name}: {type(seen.layer).__name__}" for seen in watched],
        "call": _told(call, spiking),
        "readout": "membrane" if call.spikes is None else "spikes",
        "access": "gradients" if differentiable else "scores",
        "notes": notes,
        "neurons": [_found(seen, adapter) for seen in watched if adapter.is_neuron(seen.layer)],
    }
    adapted = _settled(original, adapter, facts, samples, watched)
    kept = [n for n in facts["neurons"] if "not_lowered" in n] if adapted.lowered else []
    adapted.facts["notes"] += [_told_of_kept(neuron) for neuron in kept]
    return adapted


def _settled(
    original: Original,
    adapter: ModuleType,
    facts: dict[str, Any],
    samples: Tensor,
    watched: list[Watched],
) -> Adapted:
    sample = few(samples)

    def graph() -> Graph:
        return connect(watched, adapter, sample, original(sample), original.call.order)

    if not original.call.single:
        return settled(original, adapter.NAME, facts, samples, graph)
    probability = _ends_in_a_sigmoid(original, sample)
    facts["notes"].append(
        "its one output is taken as the "
        f"{'probability' if probability else 'logit'} of the second class."
    )
    head = partial(OneLogit, probability=probability)
    return settled(original, adapter.NAME, facts, samples, graph, head)


def _told_of_kept(neuron: dict[str, Any]) -> str:
    return (
        f"{neuron['layer']} ({neuron['neuron']}) runs in its own framework, step by step: "
        f"{neuron['not_lowered']}."
    )


def _ends_in_a_sigmoid(original: Original, few: Tensor) -> bool:
    """Whether its answers come from a sigmoid, reshaped or stacked over time at most."""
    node = original(few.clone().requires_grad_()).membrane.grad_fn
    while node is not None and type(node).__name__.startswith(_RESHAPES):
        node = node.next_functions[0][0]
    return type(node).__name__.startswith("SigmoidBackward")


def _service_facts(service: Service) -> dict[str, Any]:
    return {
        "framework": pytorch.NAME,
        "version": pytorch.version(),
        "readout": "membrane",
        "access": service.gives,
        "parity": None,
        "why_not_lowered": "it is a function that shows no layers.",
        "notes": [],
        "neurons": [],
        "layers": [],
        "call": "all steps in a call" if service.spiking else "images",
    }


def _found(seen: Watched, adapter: ModuleType) -> dict[str, Any]:
    """Describe a layer of neurons: the framework's conventions and the parameters."""
    try:
        neuron: Neuron = adapter.describe(seen.layer)
    except CannotLower as reason:
        kind = f"{adapter.NAME}.{type(seen.layer).__name__}"
        return {"layer": seen.name, "neuron": kind, "not_lowered": str(reason)}
    numbers = {"beta": neuron.beta, "threshold": neuron.threshold, "synapse": neuron.synapse}
    rounded = {name: round(x, 6) for name, x in numbers.items() if x is not None}
    return {"layer": seen.name} | neuron.conventions | rounded


def _check_steady(original: Original, few: Tensor) -> None:
    with torch.no_grad():
        first, second = original(few), original(few)
    if not torch.equal(first.membrane, second.membrane):
        raise InputError(
            "the network's outputs differ between two calls on the same input in eval mode; look "
            "for dropout that is always on (pass training=self.training), state kept between "
            "inputs, or other noise, and make the outputs deterministic."
        )


@torch.no_grad()
def _has_no_memory(original: Original, few: Tensor) -> bool:
    """Whether each output is independent of the order of the time steps."""
    trace = original(few).membrane
    return len(trace) == len(few) and torch.allclose(original(few.flip(0)).membrane.flip(0), trace)


def _adapter(module: nn.Module, framework: str | None) -> ModuleType:
    """The framework of the module's neurons, or the named one."""
    roots = {type(part).__module__.partition(".")[0] for part in parts_of(module)}
    found = next((name for name in FRAMEWORKS[:-2] if name in roots), "torch")
    name = framework or found
    if name == "nir":
        raise InputError("framework nir is for files; pass the path of one.")
    if name not in (found, "torch"):
        raise InputError(
            f"framework is {name}, but {type(module).__name__} has none of its layers; found are "
            f"those of {found}."
        )
    return pytorch if name == "torch" else importlib.import_module(f"brainleaks.adapters.{name}")


def _copy(module: nn.Module, adapter: ModuleType) -> nn.Module:
    """A copy of the module, reset, in evaluation mode, without weight gradients."""
    try:
        adapter.forget(module)
        copied = copy.deepcopy(module)
    except Exception as error:  # whatever a stranger's module holds
        raise InputError(
            f"{type(module).__name__} cannot be copied ({error}); it must not keep tensors of an "
            "earlier forward pass."
        ) from error
    for _, weight in copied.named_parameters():
        weight.requires_grad = False
    return copied.eval()


def _notes(module: nn.Module) -> list[str]:
    dropout = [m for m in parts_of(module) if "Dropout" in type(m).__name__]
    notes = []
    if module.training and dropout:
        notes.append(
            f"the network came in training mode; it is audited in eval mode, its {len(dropout)} "
            "dropout layers off."
        )
    return notes


def _activations(watched: Any, few: Tensor) -> int:
    """Approximate number of values kept per input and time step for a backward pass."""
    lead = few.shape[0] * (few.shape[1] if few.ndim == 5 else 1)
    given = sum(t.numel() for seen in watched for outputs in seen.given for t in outputs)
    return int(few.numel() // lead + 4 * given // lead)


def _differentiates(original: Original, few: Tensor) -> bool:
    """Whether gradients reach the inputs."""
    inputs = few.clone().requires_grad_()
    try:
        trace = original(inputs).membrane
        if not trace.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(trace.sum(), inputs, allow_unused=True)
    except RuntimeError:
        return False
    return gradient is not None


def _told(call: Any, spiking: bool) -> str:
    how = "a step a call" if call.loops else "all steps in a call" if spiking else "images"
    return f"{how}, {'flattened' if call.flat else 'in their own shape'}"
