"""Networks built elsewhere, made what a target takes.

A network comes as a module of snnTorch, SpikingJelly, Norse or plain torch, as a NIR file, or as a
function that answers with scores or labels. It is asked on samples of the user's own: how it takes
them, what it answers with. Where its layers are known it is lowered onto the fused operator, once
that is proved to answer as the network itself does; otherwise the network is used as it is.
"""

import copy
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.adapters import nir, plain
from brainleaks.adapters.lowered import CannotLower, Neuron, compare, lower
from brainleaks.adapters.observed import Watched, chain, watch
from brainleaks.adapters.original import Original, find_call
from brainleaks.adapters.service import Service
from brainleaks.errors import InputError
from brainleaks.factory import make, require
from brainleaks.networks import respond_in_pieces

__all__ = ["FRAMEWORKS", "Adapted", "adapt", "load_model"]

FRAMEWORKS: tuple[str, ...] = ("snntorch", "spikingjelly", "norse", "nir", "torch")

_NIR_RESETS = ("subtract", "zero")


@dataclass(frozen=True)
class Adapted:
    """A network from elsewhere, as :class:`brainleaks.target.Target` takes it.

    Args:
        network: the lowered network, or the original.
        framework: one of :data:`FRAMEWORKS`.
        lowered: whether it runs on the fused operator.
        facts: what was found, JSON-able: ``framework``, its ``version``, ``neurons`` (the
            conventions of each layer of them), ``layers``, ``call`` (how the network is asked),
            ``readout`` (the trace that it answers with: ``"spikes"`` or ``"membrane"``),
            ``access`` (the most that it can grant), ``parity`` (from
            :func:`~brainleaks.adapters.lowered.compare`, with the number of samples and steps, or
            ``None``), ``why_not_lowered`` (``None`` if it is) and ``notes``, sentences.
    """

    network: nn.Module
    framework: str
    lowered: bool
    facts: dict[str, Any]


def load_model(
    path: Path | None,
    *,
    framework: str | None,
    factory: str | None,
    samples: Tensor,
    classes: int,
    dt: float | None = None,
    reset: str | None = None,
) -> Adapted:
    """Load a network from its files and adapt it.

    Args:
        path: a NIR file, or the weights of what the factory builds: safetensors or a state dict.
            ``None`` takes what the factory builds as it is.
        framework: one of :data:`FRAMEWORKS`; ``None`` to find out.
        factory: ``module:function`` that returns the network, untrained; not of NIR files. Its
            arguments ``shape`` and ``classes``, if it has them, are those of the data.
        samples: inputs of the user's own, as the network takes them: spikes
            ``(T, B, C, H, W)`` or images ``(B, C, H, W)``.
        classes: how many classes the network tells apart.
        dt: time step of a NIR graph, in the unit of its time constants.
        reset: of a NIR graph, ``"subtract"`` or ``"zero"``.

    Raises:
        InputError: one sentence on what is wrong with the file, the factory, or the network.
    """
    from brainleaks.study.tensors import load_weights, read_weights  # studies may use adapters

    _check_samples(samples)
    _check_framework(framework)
    if framework == "nir" or (path is not None and path.suffix == ".nir"):
        if factory is not None:
            raise InputError("a NIR file holds the whole network; leave the factory out.")
        return _load_nir(path, samples, classes, dt, reset)
    if dt is not None or reset is not None:
        raise InputError("dt and reset are for NIR files alone; other models state their own.")
    if factory is None:
        raise InputError(
            f"{path or 'the model'} needs a factory, module:function, that returns the untrained "
            "network: weights alone do not say what they are the weights of."
        )
    module = make(factory, shape=tuple(samples.shape[-3:]), classes=classes)
    if path is not None:
        if not isinstance(module, nn.Module):
            raise InputError(
                f"the factory {factory} returns a {type(module).__name__}, which takes no weights "
                f"from {path}; expected a torch module."
            )
        load_weights(module, path, read_weights(path).tensors)
    elif not isinstance(module, nn.Module) and (isinstance(module, type) or not callable(module)):
        kind = type(module).__name__
        found = f"the class {module.__name__}" if isinstance(module, type) else f"a {kind}"
        raise InputError(f"the factory {factory} returns {found}; expected a torch module.")
    return adapt(module, framework=framework, samples=samples, classes=classes)


def adapt(
    module: nn.Module | Callable[[Tensor], Any],
    *,
    framework: str | None = None,
    samples: Tensor,
    classes: int,
) -> Adapted:
    """Adapt a network in memory; it is left as it was.

    Args:
        module: a torch module, or a function that answers with scores or labels alone.
        framework: one of :data:`FRAMEWORKS`, NIR excepted; ``None`` to find out.
        samples: as in :func:`load_model`.
        classes: how many classes the network tells apart.

    Raises:
        InputError: one sentence on why the network cannot be audited.
    """
    _check_samples(samples)
    _check_framework(framework)
    if not isinstance(module, nn.Module):
        service = Service(module, samples, classes)
        return Adapted(service, "torch", False, _service_facts(service))
    adapter = _adapter(module, framework)
    adapter.check(module)
    notes = _notes(module)
    module = _copy(module, adapter)
    few = _few(samples)
    call = find_call(module, adapter, few, classes)
    spiking = samples.ndim == 5
    original = Original(module, adapter, call, spiking=spiking, activations=0)
    watched = watch(module, adapter.is_neuron, lambda: original(few))
    original.activations = _activations(watched, few)
    _check_steady(original, few)
    if adapter is plain and spiking and _has_no_memory(original, few):
        notes.append(
            "it answers each time step alone, as an ordinary network does; if it takes images, "
            "give --framework torch or --encoding none."
        )
    differentiable = _differentiates(original, few)
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

    def parts() -> Any:
        return chain(watched, adapter, few)

    return _lowered(original, adapter.NAME, facts, samples, parts)


def _service_facts(service: Service) -> dict[str, Any]:
    return {
        "framework": plain.NAME,
        "version": plain.version(),
        "readout": "membrane",
        "access": service.gives,
        "parity": None,
        "why_not_lowered": "it is a function that shows no layers.",
        "notes": [],
        "neurons": [],
        "layers": [],
        "call": "all steps in a call" if service.spiking else "images",
    }


def _load_nir(
    path: Path | None, samples: Tensor, classes: int, dt: float | None, reset: str | None
) -> Adapted:
    if path is None:
        raise InputError("framework nir needs the path of a NIR file.")
    graph = nir.read_graph(path)
    if dt is None or not dt > 0 or reset not in _NIR_RESETS:
        raise InputError(
            f"{path} needs dt (above 0, given: {dt}) and reset (subtract or zero, given: {reset}): "
            "NIR files carry neither. snnTorch and SpikingJelly write time constants for a dt of "
            "1e-4 unless told otherwise."
        )
    if samples.ndim != 5:
        raise InputError(
            f"a NIR graph takes spikes over time, (T, B, C, H, W); the samples are "
            f"{tuple(samples.shape)}. Encode them, for instance by rate."
        )
    network = nir.NirNetwork(graph, dt, reset).float().eval()  # type: ignore[arg-type]
    answer = respond_in_pieces(network, _few(samples))
    _check_answer(answer.membrane, classes)
    facts: dict[str, Any] = {
        "framework": nir.NAME,
        "version": graph.version,
        "dt": dt,
        "reset": reset,
        "layers": [f"{name}: {graph.nodes[name]['type']}" for name in network.order],
        "call": "the graph, node by node",
        "readout": "membrane" if answer.spikes is None else "spikes",
        "access": "gradients",
        "notes": nir.notes(graph),
        "neurons": network.conventions(),
    }

    def parts() -> Any:
        return nir.parts(network, tuple(samples.shape[-3:])), None

    return _lowered(network, nir.NAME, facts, samples, parts)


def _lowered(
    original: nn.Module,
    framework: str,
    facts: dict[str, Any],
    samples: Tensor,
    parts: Callable[[], Any],
) -> Adapted:
    """The network lowered, if that can be done and is proved right; else as it is."""
    try:
        layers, steps = parts()
        network = lower(layers, tuple(samples.shape[-3:]), steps)
    except CannotLower as reason:
        facts |= {"parity": None, "why_not_lowered": f"{reason}."}
        return _finished(Adapted(original, framework, False, facts))
    answers = (respond_in_pieces(original, samples), respond_in_pieces(network, samples))
    parity = compare(*answers) | {"samples": samples.shape[-4], "steps": len(answers[1].membrane)}
    facts |= {"parity": parity, "why_not_lowered": None}
    if not parity["identical"]:
        differing = f"{parity['differing']} spikes, " if "differing" in parity else ""
        facts["why_not_lowered"] = (
            f"lowered, its {parity['compared']} differ on {parity['samples']} samples ({differing}"
            f"by up to {parity['largest_difference']:.3g})."
        )
        return _finished(Adapted(original, framework, False, facts))
    if parity.get("firing") == 0:
        facts["notes"].append(
            "no output neuron fires on the samples: that spikes agree says little."
        )
    if parity["compared"].endswith("spikes"):
        facts["readout"] = "spikes"
    return _finished(Adapted(network, framework, True, facts))


def _found(seen: Watched, adapter: ModuleType) -> dict[str, Any]:
    """A layer of neurons for the report: its framework's conventions, the operator's numbers."""
    try:
        neuron: Neuron = adapter.describe(seen.layer)
    except CannotLower as reason:
        kind = f"{adapter.NAME}.{type(seen.layer).__name__}"
        return {"layer": seen.name, "neuron": kind, "not_lowered": str(reason)}
    numbers = {"beta": neuron.beta, "threshold": neuron.threshold, "synapse": neuron.synapse}
    rounded = {name: round(x, 6) for name, x in numbers.items() if x is not None}
    return {"layer": seen.name} | neuron.conventions | rounded


def _finished(adapted: Adapted) -> Adapted:
    """With facts that are JSON to the last."""
    return replace(adapted, facts=json.loads(json.dumps(adapted.facts)))


def _check_samples(samples: Tensor) -> None:
    if samples.ndim not in (4, 5) or 0 in samples.shape or not samples.is_floating_point():
        raise InputError(
            f"samples are a {samples.dtype} array of shape {tuple(samples.shape)}; expected "
            "floating point, spikes (T, B, C, H, W) or images (B, C, H, W)."
        )


def _check_framework(framework: str | None) -> None:
    if framework is not None and framework not in FRAMEWORKS:
        raise InputError(f"framework is {framework!r}; it is one of {', '.join(FRAMEWORKS)}.")
    if framework is not None:
        require("h5py" if framework == "nir" else framework)


def _check_answer(trace: Tensor, classes: int) -> None:
    if trace.ndim != 3:
        raise InputError(
            f"the network answers each input at each step by {tuple(trace.shape[2:])} values; "
            f"expected one a class, ({classes},)."
        )
    if trace.shape[2] != classes:
        raise InputError(
            f"the network tells {trace.shape[2]} classes apart; the data has {classes}. Give the "
            "data that it was trained on."
        )
    if not trace.isfinite().all():
        raise InputError("the network answers with NaN or infinity; check its weights.")


def _check_steady(original: Original, few: Tensor) -> None:
    with torch.no_grad():
        first, second = original(few), original(few)
    if not torch.equal(first.membrane, second.membrane):
        raise InputError(
            "the network answers differently when asked the same again, in eval mode: dropout that "
            "is always on (give it training=self.training), state that is kept from one input to "
            "the next, or other noise. Make it answer the same."
        )


@torch.no_grad()
def _has_no_memory(original: Original, few: Tensor) -> bool:
    """Whether the order of the time steps makes no difference to the answer to each."""
    trace = original(few).membrane
    return len(trace) == len(few) and torch.allclose(original(few.flip(0)).membrane.flip(0), trace)


def _adapter(module: nn.Module, framework: str | None) -> ModuleType:
    """The framework whose neurons a module has, or that was named."""
    roots = {type(part).__module__.partition(".")[0] for part in module.modules()}
    found = next((name for name in FRAMEWORKS[:3] if name in roots), "torch")
    name = framework or found
    if name == "nir":
        raise InputError("framework nir is for files; give the path of one.")
    if name not in (found, "torch"):
        raise InputError(
            f"framework is {name}, but {type(module).__name__} has none of its layers; found are "
            f"those of {found}."
        )
    return plain if name == "torch" else importlib.import_module(f"brainleaks.adapters.{name}")


def _copy(module: nn.Module, adapter: ModuleType) -> nn.Module:
    """The module at rest, in eval mode, wanting no gradients of its weights."""
    try:
        adapter.forget(module)
        copied = copy.deepcopy(module)
    except Exception as error:  # whatever a stranger's module holds
        raise InputError(
            f"{type(module).__name__} cannot be copied ({error}); it must not keep tensors of an "
            "earlier forward pass."
        ) from error
    return copied.eval().requires_grad_(False)


def _notes(module: nn.Module) -> list[str]:
    dropout = [m for m in module.modules() if "Dropout" in type(m).__name__]
    notes = []
    if module.training and dropout:
        notes.append(
            f"the network came in training mode; it is audited in eval mode, its {len(dropout)} "
            "dropout layers off."
        )
    return notes


def _few(samples: Tensor) -> Tensor:
    """Two or three samples, another number than there are steps, and of two steps at least."""
    spiking = samples.ndim == 5
    batch = 2 if spiking and len(samples) == 3 else 3
    which = torch.arange(batch) % samples.shape[-4]
    few = samples.index_select(1 if spiking else 0, which)
    return few.repeat(2, 1, 1, 1, 1) if spiking and len(few) == 1 else few


def _activations(watched: Any, few: Tensor) -> int:
    """Values kept for one input and time step during a backward pass, about."""
    lead = few.shape[0] * (few.shape[1] if few.ndim == 5 else 1)
    given = sum(trace.numel() for seen in watched for trace in seen.given)
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
