"""A NIR graph, run node by node."""

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import Neuron
from brainleaks.adapters.nir.graph import Graph
from brainleaks.adapters.nir.layers import build
from brainleaks.adapters.nir.neurons import Dynamics, NirReset
from brainleaks.errors import InputError, first_line
from brainleaks.networks import Response


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
        self.order = graph.order()
        self.input_shape = _input_shape(graph)
        self.parts = nn.ModuleDict()
        for i, name in enumerate(self.order):
            node = graph.nodes[name]
            if node["type"] not in ("Input", "Output"):
                # a name may hold a dot, which no torch module's may
                self.parts[str(i)] = build(name, node, dt, reset)

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

    def _ask(self, index: str, name: str, trace: Tensor) -> Response:
        part = self.parts[index]
        try:
            if isinstance(part, Dynamics):
                return Response(*part(trace))
            return Response(None, part(trace.flatten(0, 1)).unflatten(0, trace.shape[:2]))
        except (IndexError, RuntimeError) as error:
            kind = self.graph.nodes[name]["type"]
            raise InputError(
                f"node {name} ({kind}) of the NIR graph cannot take what it is given, "
                f"{tuple(trace.shape[2:])}: {first_line(error)}. Exporters omit layers "
                "that NIR does not support, such as max pooling and batch norm; compare the file "
                "with the network."
            ) from error


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
