"""A NIR graph, run node by node."""

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brainleaks.adapters.graph import Graph as Layers
from brainleaks.adapters.graph import Join, Ref
from brainleaks.adapters.kept import Kept
from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import Neuron
from brainleaks.adapters.nir.graph import Graph
from brainleaks.adapters.nir.layers import build
from brainleaks.adapters.nir.loops import Loop
from brainleaks.adapters.nir.neurons import Delay, Dynamics, NirReset
from brainleaks.errors import InputError, first_line
from brainleaks.networks import Response


class NirNetwork(nn.Module):
    """A NIR graph, run node by node: spikes ``(T, B, *input_shape)`` to the last node's trace.

    Args:
        graph: its circles have neurons or delays in them.
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
        self.runs = graph.loops()
        self.order = graph.order()
        self.input_shape = _input_shape(graph)
        self.parts = nn.ModuleDict()
        for i, name in enumerate(self.order):
            node = graph.nodes[name]
            if node["type"] not in ("Input", "Output"):
                # a name may hold a dot, which no torch module's may
                self.parts[str(i)] = build(name, node, dt, reset)
        self.loops = nn.ModuleDict()
        for i, names in enumerate(self.runs):
            if len(names) > 1 or (names[0], names[0]) in graph.feedback:
                parts = [self.parts[str(self.order.index(name))] for name in names]
                self.loops[str(i)] = Loop(names, parts, self.graph)

    def forward(self, spikes: Tensor) -> Response:
        given: dict[str, Response] = {}
        last = Response(None, spikes)
        for i, names in enumerate(self.runs):
            if str(i) in self.loops:
                given |= self._run_loop(self.loops[str(i)], given)
                continue
            (name,) = names
            sources = [given[source] for source in self.graph.inputs_of(name)]
            if self.graph.nodes[name]["type"] == "Input":
                given[name] = Response(None, self._shaped(spikes))
            elif self.graph.nodes[name]["type"] == "Output":
                last = sources[0] if len(sources) == 1 else Response(None, _summed(name, sources))
            else:
                given[name] = self._ask(name, _summed(name, sources))
        return last

    def _run_loop(self, loop: nn.Module, given: dict[str, Response]) -> dict[str, Response]:
        names = set(loop.names)  # type: ignore[arg-type]
        entering = {}
        for name in names:
            sources = [given[a] for a in self.graph.inputs_of(name) if a not in names]
            if sources:
                entering[name] = _summed(name, sources)
        try:
            found: dict[str, Response] = loop(entering)
        except (IndexError, RuntimeError) as error:
            raise InputError(
                f"the nodes {', '.join(sorted(names))} of the NIR graph, which are connected in a "
                f"circle, cannot take what they are given: {first_line(error)}."
            ) from error
        return found

    @property
    def activations(self) -> int:
        """Approximate number of values kept per input and time step for a backward pass."""
        # a neuron keeps a handful of values a step; the layers before it, what they give it
        neurons = [part.size for part in self.parts.values() if isinstance(part, Dynamics)]
        return prod(self.input_shape) + 8 * sum(neurons)

    def conventions(self) -> list[dict[str, Any]]:
        """How the neurons of each node are defined, for the report."""
        named = zip(self.order, range(len(self.order)), strict=True)
        found = [(name, self.parts[str(i)]) for name, i in named if str(i) in self.parts]
        return [{"layer": n, **d.conventions()} for n, d in found if isinstance(d, Dynamics)]

    def _shaped(self, spikes: Tensor) -> Tensor:
        """Reshape inputs to the shape in the file, if the number of values is the same."""
        if prod(spikes.shape[2:]) != prod(self.input_shape):
            raise InputError(
                f"the NIR graph takes inputs of shape {self.input_shape}; the data has "
                f"{tuple(spikes.shape[2:])}. Give data of the size that it was trained on."
            )
        return spikes.reshape(*spikes.shape[:2], *self.input_shape)

    def _ask(self, name: str, trace: Tensor) -> Response:
        part = self.parts[str(self.order.index(name))]
        try:
            if isinstance(part, Dynamics):
                return Response(*part(trace))
            if isinstance(part, Delay):
                return Response(None, part(trace))
            return Response(None, part(trace.flatten(0, 1)).unflatten(0, trace.shape[:2]))
        except (IndexError, RuntimeError) as error:
            kind = self.graph.nodes[name]["type"]
            raise InputError(
                f"node {name} ({kind}) of the NIR graph cannot take what it is given, "
                f"{tuple(trace.shape[2:])}: {first_line(error)}. Exporters omit layers "
                "that NIR does not support, such as max pooling and batch norm; compare the file "
                "with the network."
            ) from error


def layers_of(network: NirNetwork, input_shape: tuple[int, ...]) -> Layers:
    """The network's layers, for lowering, from inputs of the data's shape.

    Raises:
        CannotLower: if a layer cannot be lowered.
    """
    found, given = Layers(), {}
    for i, names in enumerate(network.runs):
        takes = {n: [a for a in network.graph.inputs_of(n) if a not in names] for n in names}
        entered = [name for name in names if takes[name]]
        kind = network.graph.nodes[names[0]]["type"]
        if kind == "Input":
            given[names[0]] = _entered(found, network, input_shape)
            continue
        if len(entered) != 1:
            raise CannotLower(f"{', '.join(names)}: a circle with several entries")
        source = _joined(found, [given[name] for name in takes[entered[0]]])
        if kind == "Output":
            break
        if str(i) in network.loops:
            whole = _Entered(network.loops[str(i)], entered[0], names)
            ref = found.add(Kept(whole, _no_state, whole=True, states=(), fires=False), source)
            given |= {name: Ref(ref.node, j) for j, name in enumerate(names)}
            continue
        given[names[0]] = found.add(_part(network, names[0]), source)
    return found


class _Entered(nn.Module):
    """A circle that is entered at one node, as a layer of several outputs."""

    def __init__(self, loop: nn.Module, entry: str, names: list[str]) -> None:
        super().__init__()
        self.loop, self.entry, self.names = loop, entry, names

    def forward(self, trace: Tensor) -> list[Tensor]:
        found = self.loop({self.entry: trace})
        responses = [found[name] for name in self.names]
        return [r.membrane if r.spikes is None else r.spikes for r in responses]


def _no_state(layer: nn.Module) -> None:
    """Nothing is kept between calls."""


def _entered(found: Layers, network: NirNetwork, input_shape: tuple[int, ...]) -> Ref:
    if tuple(input_shape) == network.input_shape:
        return Ref(0)
    return found.add(nn.Unflatten(1, network.input_shape), found.add(nn.Flatten(), Ref(0)))


def _joined(found: Layers, refs: list[Ref]) -> Ref:
    joined = refs[0]
    for ref in refs[1:]:
        joined = found.add(Join("add"), joined, ref)
    return joined


def _part(network: NirNetwork, name: str) -> nn.Module | Neuron:
    part = network.parts[str(network.order.index(name))]
    if isinstance(part, Dynamics):
        try:
            return part.describe()
        except CannotLower:
            fires = part.threshold is not None
            kept = Kept(part, _no_state, whole=True, states=(), fires=fires)
            kept.membrane = int(fires)  # behind the spikes
            return kept
    if isinstance(part, Delay):
        return Kept(part, _no_state, whole=True, states=(), fires=False)
    return part


def _input_shape(graph: Graph) -> tuple[int, ...]:
    """The shape of one input; flat before linear layers, without an exported batch dimension."""
    name = graph.only("Input")
    takers = {graph.nodes[sink]["type"] for source, sink in graph.edges if source == name}
    shape = [int(side) for side in np.atleast_1d(graph.nodes[name]["shape"])]
    return (prod(shape),) if takers <= {"Linear", "Affine"} else tuple(shape)


def _summed(name: str, sources: list[Response]) -> Tensor:
    traces = [s.membrane if s.spikes is None else s.spikes for s in sources]
    if len({trace.shape for trace in traces}) > 1:
        raise InputError(f"node {name} of the NIR graph is given branches of unlike shapes.")
    return torch.stack(traces).sum(0) if len(traces) > 1 else traces[0]
