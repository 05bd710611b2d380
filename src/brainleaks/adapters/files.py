"""Networks in files: NIR graphs, or weights for a network that a factory builds."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from brainleaks.adapters import nir
from brainleaks.adapters.adapted import Adapted, settled
from brainleaks.adapters.graph import Graph
from brainleaks.adapters.modules import adapt
from brainleaks.adapters.validate import check_answer, check_framework, check_samples, few
from brainleaks.errors import InputError
from brainleaks.factory import make
from brainleaks.networks import respond_in_pieces

_NIR_RESETS = ("subtract", "zero")


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
    from brainleaks.files.tensors import read_weights
    from brainleaks.networks.weights import load_weights  # studies may use adapters

    check_samples(samples)
    check_framework(framework)
    if framework == "nir" or (path is not None and path.suffix == ".nir"):
        if factory is not None:
            raise InputError("a NIR file holds the whole network; remove the factory.")
        return _load_nir(path, samples, classes, dt, reset)
    if dt is not None or reset is not None:
        raise InputError("dt and reset apply only to NIR files; other models define their own.")
    if factory is None:
        raise InputError(
            f"{path or 'the model'} needs a factory, module:function, that returns the untrained "
            "network: weights alone do not say what they are the weights of."
        )
    said: list[str] = []
    module = make(factory, shape=tuple(samples.shape[-3:]), classes=classes)
    if path is not None:
        if not isinstance(module, nn.Module):
            raise InputError(
                f"the factory {factory} returns a {type(module).__name__}, which takes no weights "
                f"from {path}; expected a torch module."
            )
        weights = read_weights(path)
        said = [weights.found] if weights.found else []
        said += load_weights(module, path, weights.tensors)
    elif not isinstance(module, nn.Module) and (isinstance(module, type) or not callable(module)):
        kind = type(module).__name__
        found = f"the class {module.__name__}" if isinstance(module, type) else f"a {kind}"
        raise InputError(f"the factory {factory} returns {found}; expected a torch module.")
    adapted = adapt(module, framework=framework, samples=samples, classes=classes)
    adapted.facts["notes"][:0] = said
    return adapted


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
    answer = respond_in_pieces(network, few(samples))
    check_answer(answer.membrane, classes)
    facts: dict[str, Any] = {
        "framework": nir.NAME,
        "version": graph.version,
        "dt": dt,
        "reset": reset,
        "layers": [f"{name}: {graph.nodes[name]['type']}" for name in network.order],
        "call": "the graph, node by node",
        "readout": "membrane" if answer.spikes is None else "spikes",
        "access": "gradients",
        "notes": [*graph.said, *nir.notes(graph)],
        "neurons": network.conventions(),
    }

    def graph_of_layers() -> Graph:
        return nir.layers_of(network, tuple(samples.shape[-3:]))

    return settled(network, nir.NAME, facts, samples, graph_of_layers)
