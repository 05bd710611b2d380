r"""NIR graphs, read from their files and run by equations of our own.

The Neuromorphic Intermediate Representation (Pedersen et al., "Neuromorphic intermediate
representation", Nature Communications 15, 2024) states neurons in continuous time::

    IF       v' = R I
    LIF      tau v' = (v_leak - v) + R I
    LI       tau v' = (v_leak - v) + R I, without spikes
    CubaLIF  tau_syn I' = -I + w_in S,    tau_mem v' = (v_leak - v) + R I

    fires where v > v_threshold, and then v = v_reset

It carries no time step and knows no other reset. Both are given by who runs it: here by forward
Euler steps of ``dt``, the synaptic current before the membrane, and with ``reset="subtract"``
firing takes ``v_threshold - v_reset`` from the membrane, in the step of the spike. Membranes start
at ``v_leak``, and where there is no leak at ``v_reset``; they are shown as they decide the spike,
before the reset.

Files are HDF5. They are read without the ``nir`` package, within limits of size, depth and number,
and nothing in them is followed to another file.
"""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from brainleaks.adapters.lowered import STAND_IN, CannotLower, Neuron, above_rest
from brainleaks.errors import InputError
from brainleaks.factory import require
from brainleaks.networks import Response

NAME = "nir"
NirReset = Literal["subtract", "zero"]

_FILE_BYTES = 2**31
_VALUE_BYTES = 2**31
_DEPTH = 6
_NODES = 1_000
_FILTERS = (None, "gzip", "lzf", "szip")
_NEURONS = ("IF", "LIF", "CubaLIF", "LI")
_STATELESS = ("Affine", "Linear", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten")
_NEEDED = {
    "Input": ("shape",),
    "Output": (),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Conv1d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "Conv2d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("start_dim", "end_dim"),
    "IF": ("r", "v_threshold"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
}


@dataclass(frozen=True)
class Graph:
    """Nodes by name (each its fields, ``type`` among them), and the edges between them.

    ``version`` is that of the ``nir`` package that wrote them.
    """

    nodes: dict[str, dict[str, Any]]
    edges: list[tuple[str, str]]
    version: str | None

    def inputs_of(self, name: str) -> list[str]:
        """The nodes whose answers a node takes, summed."""
        return [source for source, sink in self.edges if sink == name]

    def only(self, kind: str) -> str:
        """The one node of a kind that there is one of."""
        return next(name for name, node in self.nodes.items() if node["type"] == kind)


def read_graph(path: Path) -> Graph:
    """Read a NIR file.

    Raises:
        InputError: if it is no HDF5 file of a NIR graph, goes beyond the limits, or holds nodes
            that are unknown here, or connections in a circle.
    """
    require("h5py")
    import h5py

    if not path.is_file():
        raise InputError(f"no such file: {path}.")
    if path.stat().st_size > _FILE_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes; at most {_FILE_BYTES:,} are read."
        )
    if not h5py.is_hdf5(path):
        raise InputError(f"{path} is not an HDF5 file; expected what nir.write writes.")
    try:
        with h5py.File(path, "r") as file:
            return _checked(path, *_values(path, file))
    except InputError:
        raise
    except (OSError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a whole NIR file: {error}.") from error


class NirNetwork(nn.Module):
    """A NIR graph, run node by node: spikes ``(T, B, *input_shape)`` to the last node's trace.

    Args:
        graph: without circles.
        dt: time step, in the unit of the file's time constants.
        reset: what firing does to the membrane.

    Raises:
        InputError: if ``dt`` is too long for a time constant, or a node's fields make no sense.
    """

    spiking = True

    def __init__(self, graph: Graph, dt: float, reset: NirReset) -> None:
        super().__init__()
        # without the weights, which its parts hold
        kinds = {name: {"type": node["type"]} for name, node in graph.nodes.items()}
        self.graph = Graph(kinds, graph.edges, graph.version)
        self.order = list(TopologicalSorter(_predecessors(graph)).static_order())
        self.input_shape = _input_shape(graph)
        self.parts = nn.ModuleDict()
        for i, name in enumerate(self.order):
            node = graph.nodes[name]
            if node["type"] not in ("Input", "Output"):
                # a name may hold a dot, which no torch module's may
                self.parts[str(i)] = _built(name, node, dt, reset)

    def forward(self, spikes: Tensor) -> Response:
        given: dict[str, Response] = {}
        last = Response(None, spikes)
        for i, name in enumerate(self.order):
            sources = [given[source] for source in self.graph.inputs_of(name)]
            if self.graph.nodes[name]["type"] == "Input":
                given[name] = Response(None, self._shaped(spikes))
            elif self.graph.nodes[name]["type"] == "Output":
                last = sources[0] if len(sources) == 1 else Response(None, _summed(name, sources))
            else:
                given[name] = self._ask(str(i), name, _summed(name, sources))
        return last

    @property
    def activations(self) -> int:
        """Values kept for one input and time step during a backward pass, about."""
        # a neuron keeps a handful of values a step; the layers before it, what they give it
        neurons = [part.size for part in self.parts.values() if isinstance(part, Dynamics)]
        return prod(self.input_shape) + 8 * sum(neurons)

    def conventions(self) -> list[dict[str, Any]]:
        """How the neurons of each node are defined, for the report."""
        named = zip(self.order, range(len(self.order)), strict=True)
        found = [(name, self.parts[str(i)]) for name, i in named if str(i) in self.parts]
        return [{"layer": n, **d.conventions()} for n, d in found if isinstance(d, Dynamics)]

    def _shaped(self, spikes: Tensor) -> Tensor:
        """Inputs in the file's shape, where that is the same pixels otherwise arranged."""
        if prod(spikes.shape[2:]) != prod(self.input_shape):
            raise InputError(
                f"the NIR graph takes inputs of shape {self.input_shape}; the data has "
                f"{tuple(spikes.shape[2:])}. Give data of the size that it was trained on."
            )
        return spikes.reshape(*spikes.shape[:2], *self.input_shape)

    def _ask(self, index: str, name: str, trace: Tensor) -> Response:
        part = self.parts[index]
        try:
            if isinstance(part, Dynamics):
                return Response(*part(trace))
            return Response(None, part(trace.flatten(0, 1)).unflatten(0, trace.shape[:2]))
        except RuntimeError as error:
            kind = self.graph.nodes[name]["type"]
            said = str(error).strip().splitlines()[0]
            raise InputError(
                f"node {name} ({kind}) of the NIR graph cannot take what it is given, "
                f"{tuple(trace.shape[2:])}: {said}. Exporters leave out layers that NIR has not, "
                "such as max pooling and batch norm; compare the file with the network."
            ) from error


class Dynamics(nn.Module):
    """A layer of NIR's neurons in steps of ``dt``: currents ``(T, B, ...)`` to spikes, membrane.

    The answer of ``LI`` is its membrane; its spikes are ``None``.
    """

    keep: Tensor
    gain: Tensor
    rest: Tensor
    keep_current: Tensor | None
    current_gain: Tensor | None
    threshold: Tensor | None
    v_reset: Tensor | None

    def __init__(self, kind: str, node: dict[str, Any], dt: float, reset: NirReset) -> None:
        super().__init__()
        self.kind, self.subtracts = kind, reset == "subtract"
        field = {
            name: np.asarray(value, np.float64) for name, value in node.items() if name != "type"
        }
        zero = np.zeros_like(field["r"])
        v_reset = field.get("v_reset", zero)
        share = zero if kind == "IF" else dt / field["tau_mem" if kind == "CubaLIF" else "tau"]
        synapse = dt / field["tau_syn"] if kind == "CubaLIF" else None
        self._hold("keep", np.maximum(1 - share, 0))  # rounding puts it below
        self._hold("gain", (dt if kind == "IF" else share) * field["r"])
        self._hold("rest", v_reset if kind == "IF" else field["v_leak"])
        self._hold("keep_current", None if synapse is None else 1 - synapse)
        self._hold("current_gain", None if synapse is None else synapse * field.get("w_in", 1.0))
        self._hold("threshold", None if kind == "LI" else field["v_threshold"])
        self._hold("v_reset", None if kind == "LI" else v_reset + zero)

    @property
    def size(self) -> int:
        """How many neurons have parameters of their own."""
        return self.keep.numel()

    def forward(self, trace: Tensor) -> tuple[Tensor | None, Tensor]:
        shape = torch.broadcast_shapes(trace.shape[1:], self.keep.shape)
        v = self.rest.expand(shape)
        current = trace.new_zeros(shape)
        spikes, membranes = [], []
        for x in trace:
            if self.keep_current is not None:
                current = x = self.keep_current * current + self.current_gain * x
            v = self.rest + self.keep * (v - self.rest) + self.gain * x
            membranes.append(v)
            if self.threshold is not None and self.v_reset is not None:
                spike = _Spike.apply(v - self.threshold)  # type: ignore[no-untyped-call]
                spikes.append(spike)
                lost = self.threshold - self.v_reset if self.subtracts else v - self.v_reset
                v = v - spike * lost
        return torch.stack(spikes) if spikes else None, torch.stack(membranes)

    def describe(self) -> Neuron:
        """These neurons in the operator's terms.

        Raises:
            CannotLower: if the operator has no such neuron.
        """
        keep, rest = _uniform("its leak", self.keep), _uniform("v_leak", self.rest)
        synapse = current_gain = None
        if self.keep_current is not None and self.current_gain is not None:
            synapse = _uniform("tau_syn", self.keep_current)
            current_gain = _uniform("w_in", self.current_gain)
        threshold, how = 1.0, "none"
        if self.threshold is not None and self.v_reset is not None:
            v_reset = _uniform("v_reset", self.v_reset)
            how = "subtract" if self.subtracts else "zero"
            threshold = above_rest(_uniform("v_threshold", self.threshold) - rest)
            if self.subtracts and keep != 1:
                raise CannotLower(
                    "it leaks after a subtractive reset; the operator subtracts after it"
                )
            if v_reset != rest:
                raise CannotLower(
                    f"it resets to {v_reset:g} and leaks to {rest:g}; the operator has one rest"
                )
        return Neuron(
            beta=keep,
            threshold=threshold,
            reset=how,  # type: ignore[arg-type]
            reset_delay=how != "zero",  # without a leak a subtraction may as well wait
            gain=_uniform("r", self.gain) * (current_gain or 1.0),
            synapse=synapse,
            fires=self.threshold is not None,
            rest=rest,
            charged=how == "zero",
        )

    def conventions(self) -> dict[str, Any]:
        """How these neurons are defined, for the report."""
        reset = "subtract" if self.subtracts else "to v_reset"
        return {
            "neuron": f"nir.{self.kind}",
            "fires": "never" if self.threshold is None else "above the threshold",
            "reset": "none" if self.threshold is None else reset,
            "reset_when": "with the spike",
            "input": "times dt * r" if self.kind == "IF" else "scaled by dt * r / tau",
            "surrogate": f"arctan, alpha {STAND_IN.alpha}; NIR states none",
        }

    def _hold(self, name: str, value: Any) -> None:
        tensor = None if value is None else torch.as_tensor(np.asarray(value, np.float64))
        self.register_buffer(name, tensor)


def parts(network: NirNetwork, input_shape: tuple[int, ...]) -> list[nn.Module | Neuron]:
    """The network's layers in order, for lowering, from inputs of the data's shape.

    Raises:
        CannotLower: if the graph branches, or a layer cannot be lowered.
    """
    if len({source for source, _ in network.graph.edges}) < len(network.graph.edges):
        raise CannotLower("the graph branches")
    chain: list[nn.Module | Neuron] = []
    if tuple(input_shape) != network.input_shape:
        chain += [nn.Flatten(), nn.Unflatten(1, network.input_shape)]
    for i, name in enumerate(network.order):
        if str(i) not in network.parts:
            continue
        part = network.parts[str(i)]
        if not isinstance(part, Dynamics):
            chain.append(part)
            continue
        try:
            chain.append(part.describe())
        except CannotLower as reason:
            raise CannotLower(f"{name}: {reason}") from None
    return chain


def notes(graph: Graph) -> list[str]:
    """What is known to go wrong when frameworks export such neurons."""
    found = []
    for node in graph.nodes.values():
        if node["type"] == "LIF" and _all_equal(node["r"] * 1e-4, node["tau"]):
            found.append(
                "LIF with r = tau / 1e-4, as snnTorch exports it: if snnTorch did, note that it "
                "writes a subtractive reset as a reset to zero without saying so, and leaves out "
                "the padding of average pooling. Give reset as the network was trained; as "
                "snnTorch subtracts after the leak and NIR before it, audit a subtractive network "
                "as a snnTorch module for the same spikes."
            )
        if node["type"] == "IF" and _all_equal(node["r"], 1.0):
            found.append(
                "IF with r 1: Norse exports its IAFCell so, though Norse adds inputs undivided, "
                "which is r = 1 / dt; audit the Norse module itself for the same spikes."
            )
        if node["type"] == "CubaLIF" and _all_equal(node.get("w_in", 1.0), 1.0):
            found.append(
                "CubaLIF with w_in 1: Norse exports its LIFCell so, though Norse adds inputs to "
                "the current undivided, which is w_in = tau_syn / dt; audit the Norse module "
                "itself for the same spikes."
            )
    return list(dict.fromkeys(found))


class _Spike(torch.autograd.Function):
    """1 above 0; differentiated by the surrogate that stands in for one."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor) -> Any:
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (distance,) = ctx.saved_tensors
        gain, sharpness, linear = STAND_IN.coefficients
        q = sharpness * distance.abs()
        return gradient * gain / (1 + linear * q + q * q)


def _values(path: Path, file: Any) -> tuple[dict[str, Any], str | None]:
    """The graph as nested dictionaries, once it is known to be no more, and its version."""
    budget = [_VALUE_BYTES, _NODES * 20]
    if "node" not in file:
        raise InputError(
            f"{path} is an HDF5 file without a NIR graph; expected what nir.write writes."
        )
    version = _dataset(path, file["version"], budget) if "version" in file else None
    return _group(path, file["node"], 0, budget), version


def _group(path: Path, group: Any, depth: int, budget: list[int]) -> dict[str, Any]:
    import h5py

    if depth > _DEPTH:
        raise InputError(
            f"{path} is nested deeper than {_DEPTH} levels at {group.name}; a graph is not."
        )
    values: dict[str, Any] = {}
    for name in group:
        budget[1] -= 1
        if budget[1] < 0:
            raise InputError(f"{path} holds more than {_NODES:,} nodes' worth of entries.")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise InputError(f"{path}: {group.name}/{name} is a link, which is not followed.")
        item = group[name]
        if isinstance(item, h5py.Group):
            values[name] = {} if name == "metadata" else _group(path, item, depth + 1, budget)
        else:
            values[name] = _dataset(path, item, budget)
    return values


def _dataset(path: Path, item: Any, budget: list[int]) -> Any:
    import h5py

    if item.external or item.is_virtual or item.compression not in _FILTERS:
        raise InputError(f"{path}: {item.name} lies in another file or is packed by a plug-in.")
    budget[0] -= item.nbytes
    if budget[0] < 0:
        raise InputError(f"{path} holds more than {_VALUE_BYTES:,} bytes of values once unpacked.")
    if h5py.check_string_dtype(item.dtype):
        value = item.asstr()[()]
        return value.tolist() if isinstance(value, np.ndarray) else value
    if item.dtype.kind not in "fiub":
        raise InputError(f"{path}: {item.name} holds {item.dtype}; expected numbers or text.")
    return item[()]


def _checked(path: Path, values: dict[str, Any], version: str | None) -> Graph:
    if values.get("type") != "NIRGraph" or not isinstance(values.get("nodes"), dict):
        raise InputError(f"{path} holds {values.get('type', 'something')}; expected a NIRGraph.")
    nodes = values["nodes"]
    if len(nodes) > _NODES:
        raise InputError(f"{path} has {len(nodes):,} nodes; at most {_NODES:,} are run.")
    for name, node in nodes.items():
        _check_node(path, name, node)
    edges = [(str(a), str(b)) for a, b in values.get("edges", [])]
    graph = Graph(nodes, list(dict.fromkeys(edges)), version)
    for kind in ("Input", "Output"):
        names = [name for name, node in nodes.items() if node["type"] == kind]
        if len(names) != 1:
            raise InputError(f"{path} has {len(names)} {kind} nodes; expected one.")
    for name in {end for edge in graph.edges for end in edge} - set(nodes):
        raise InputError(f"{path} connects {name!r}, which is not among its nodes.")
    try:
        tuple(TopologicalSorter(_predecessors(graph)).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise InputError(
            f"{path} is a graph with a circle, {circle}; recurrent connections are not run. Audit "
            "the network in its own framework."
        ) from error
    for name, node in nodes.items():
        if node["type"] != "Input" and not graph.inputs_of(name):
            raise InputError(f"{path}: nothing leads to node {name} ({node['type']}).")
    return graph


def _check_node(path: Path, name: str, node: Any) -> None:
    kind = node.get("type") if isinstance(node, dict) else None
    if kind not in _NEEDED:
        known = ", ".join((*_STATELESS, *_NEURONS))
        raise InputError(
            f"{path}: node {name} is a {kind}, which is not known here; known are {known}."
        )
    missing = [entry for entry in _NEEDED[kind] if entry not in node]
    if missing:
        raise InputError(f"{path}: node {name} ({kind}) lacks {', '.join(missing)}.")
    for entry, value in node.items():
        if isinstance(value, np.ndarray | np.floating) and not np.isfinite(value).all():
            raise InputError(f"{path}: {entry} of node {name} ({kind}) is NaN or infinite.")
    for entry in ("tau", "tau_mem", "tau_syn"):
        if entry in node and not (np.asarray(node[entry]) > 0).all():
            raise InputError(f"{path}: {entry} of node {name} ({kind}) is not above 0.")


def _predecessors(graph: Graph) -> dict[str, list[str]]:
    return {name: graph.inputs_of(name) for name in graph.nodes}


def _built(name: str, node: dict[str, Any], dt: float, reset: NirReset) -> nn.Module:
    try:
        return _module(name, node, dt, reset)
    except InputError:
        raise
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"node {name} ({node['type']}) of the NIR graph has fields that make no sense: {error}."
        ) from error


def _module(name: str, node: dict[str, Any], dt: float, reset: NirReset) -> nn.Module:
    kind = node["type"]
    if kind in _NEURONS:
        _check_step(name, node, dt)
        return Dynamics(kind, node, dt, reset)
    if kind == "Flatten":
        # NIR counts dimensions without the batch
        start, end = (int(node[name]) for name in ("start_dim", "end_dim"))
        return nn.Flatten(start + (start >= 0), end + (end >= 0))
    if kind in ("SumPool2d", "AvgPool2d"):
        sizes: Any
        sizes = {name: _sides(node[name], 2) for name in ("kernel_size", "stride", "padding")}
        # a sum is an average that is divided by 1
        divisor: Any = 1 if kind == "SumPool2d" else None
        return nn.AvgPool2d(**sizes, divisor_override=divisor)
    weight = torch.as_tensor(np.asarray(node["weight"], np.float64))
    bias = node.get("bias")
    offset = torch.zeros(len(weight)) if bias is None else torch.as_tensor(np.asarray(bias))
    layer: Any = (
        _linear(name, weight) if kind in ("Linear", "Affine") else _conv(kind, node, weight)
    )
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(offset.double(), requires_grad=False)
    return layer  # type: ignore[no-any-return]


def _input_shape(graph: Graph) -> tuple[int, ...]:
    """Of one input; flat where linear layers take it, whatever batch an exporter left in it."""
    name = graph.only("Input")
    takers = {graph.nodes[sink]["type"] for source, sink in graph.edges if source == name}
    shape = [int(side) for side in np.atleast_1d(graph.nodes[name]["shape"])]
    return (prod(shape),) if takers <= {"Linear", "Affine"} else tuple(shape)


def _check_step(name: str, node: dict[str, Any], dt: float) -> None:
    for entry in ("tau", "tau_mem", "tau_syn"):
        shortest = np.min(np.asarray(node[entry], np.float64)) if entry in node else np.inf
        if dt > shortest * (1 + 1e-6):
            raise InputError(
                f"dt is {dt:g} and {entry} of node {name} is {shortest:g}: a step longer than the "
                "time constant overshoots. Give the time step that the network was trained with; "
                "a file that Norse 1.1 exported has its time constants multiplied by that step, "
                "and needs its square."
            )


def _linear(name: str, weight: Tensor) -> nn.Module:
    if weight.ndim != 2:
        raise InputError(
            f"node {name} has a weight of shape {tuple(weight.shape)}; expected two sides."
        )
    return nn.Linear(weight.shape[1], weight.shape[0], device="meta")


def _conv(kind: str, node: dict[str, Any], weight: Tensor) -> nn.Module:
    sides = 1 if kind == "Conv1d" else 2
    padding = node["padding"]
    groups = int(node["groups"])
    settings = [_sides(node["stride"], sides), padding, _sides(node["dilation"], sides), groups]
    if not isinstance(padding, str):
        settings[1] = _sides(padding, sides)
    make: Any = nn.Conv1d if sides == 1 else nn.Conv2d
    return make(weight.shape[1] * groups, len(weight), weight.shape[2:], *settings, device="meta")  # type: ignore[no-any-return]


def _sides(value: Any, sides: int) -> tuple[int, ...]:
    flat = np.asarray(value).flatten()
    return tuple(int(side) for side in (flat if len(flat) == sides else np.repeat(flat[:1], sides)))


def _summed(name: str, sources: list[Response]) -> Tensor:
    traces = [s.membrane if s.spikes is None else s.spikes for s in sources]
    if len({trace.shape for trace in traces}) > 1:
        raise InputError(f"node {name} of the NIR graph is given branches of unlike shapes.")
    return torch.stack(traces).sum(0) if len(traces) > 1 else traces[0]


def _uniform(name: str, value: Tensor) -> float:
    if value.unique().numel() != 1:
        raise CannotLower(f"{name} differs from neuron to neuron")
    return float(value.flatten()[0])


def _all_equal(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-5, atol=0))
