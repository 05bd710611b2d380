"""A NIR graph: its nodes, its edges, and the supported types."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from brainleaks.adapters.nir.fields import check_fields
from brainleaks.errors import InputError

NEURONS = ("IF", "LIF", "CubaLIF", "LI")
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
        """The nodes whose summed outputs are the input of a node."""
        return [source for source, sink in self.edges if sink == name]

    def only(self, kind: str) -> str:
        """The only node of a type."""
        return next(name for name, node in self.nodes.items() if node["type"] == kind)

    def order(self) -> list[str]:
        """The nodes in topological order.

        Raises:
            CycleError: if they are connected in a circle, which is its second argument.
        """
        sources = {name: self.inputs_of(name) for name in self.nodes}
        return list(TopologicalSorter(sources).static_order())


def check(path: Path, graph: Graph) -> None:
    """Check that the graph can be run: supported nodes with all fields, and no cycle.

    Raises:
        InputError: naming the file, and the node or connection that is in the way.
    """
    for name, node in graph.nodes.items():
        _check_node(path, name, node)
    for kind in ("Input", "Output"):
        names = [name for name, node in graph.nodes.items() if node["type"] == kind]
        if len(names) != 1:
            raise InputError(f"{path} has {len(names)} {kind} nodes; expected one.")
    for name in {end for edge in graph.edges for end in edge} - set(graph.nodes):
        raise InputError(f"{path} connects {name!r}, which is not one of its nodes.")
    try:
        graph.order()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise InputError(
            f"{path} is a graph with a circle, {circle}; recurrent connections are not run. Audit "
            "the network in its own framework."
        ) from error
    for name, node in graph.nodes.items():
        if node["type"] != "Input" and not graph.inputs_of(name):
            raise InputError(f"{path}: no edge leads to node {name} ({node['type']}).")


def _check_node(path: Path, name: str, node: Any) -> None:
    kind = node.get("type") if isinstance(node, dict) else None
    if not isinstance(kind, str) or kind not in _NEEDED:
        known = ", ".join((*_STATELESS, *NEURONS))
        found = kind if isinstance(kind, str) else type(kind).__name__
        raise InputError(
            f"{path}: node {name} is a {found}, which is not known here; known are {known}."
        )
    missing = [entry for entry in _NEEDED[kind] if entry not in node]
    if missing:
        raise InputError(f"{path}: node {name} ({kind}) lacks {', '.join(missing)}.")
    check_fields(path, name, node)
