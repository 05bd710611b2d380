"""A NIR graph: its nodes, its edges, and the supported types."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from brainleaks.adapters.nir.fields import check_fields
from brainleaks.errors import InputError

NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
#: Nodes whose answer depends on earlier time steps: every circle needs one.
STATEFUL = (*NEURONS, "Delay")
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
    "Scale": ("scale",),
    "Threshold": ("threshold",),
    "Delay": ("delay",),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
}


@dataclass(frozen=True)
class Graph:
    """Nodes by name (each its fields, ``type`` among them), and the edges between them.

    ``version`` is that of the ``nir`` package that wrote them, and ``said`` holds sentences on how
    they were read.
    """

    nodes: dict[str, dict[str, Any]]
    edges: list[tuple[str, str]]
    version: str | None
    said: list[str] = field(default_factory=list)

    def inputs_of(self, name: str) -> list[str]:
        """The nodes whose summed outputs are the input of a node."""
        return [source for source, sink in self.edges if sink == name]

    def only(self, kind: str) -> str:
        """The only node of a type."""
        return next(name for name, node in self.nodes.items() if node["type"] == kind)

    @cached_property
    def feedback(self) -> frozenset[tuple[str, str]]:
        """The edges that close circles, each of which takes one time step.

        They lead back to a node that a search in depth from the input is still below.
        """
        sinks: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, sink in self.edges:
            sinks[source].append(sink)
        found: set[tuple[str, str]] = set()
        done: set[str] = set()
        for start in sorted(self.nodes, key=lambda name: self.nodes[name]["type"] != "Input"):
            above = dict[str, Iterator[str]]()
            if start not in done:
                above[start] = iter(sinks[start])
            while above:
                name = next(reversed(above))
                below = next(above[name], None)
                if below is None:
                    done.add(name)
                    del above[name]
                elif below in above:
                    found.add((name, below))
                elif below not in done:
                    above[below] = iter(sinks[below])
        return frozenset(found)

    def order(self) -> list[str]:
        """The nodes in topological order, without the feedback."""
        return _sorted(self.nodes, [edge for edge in self.edges if edge not in self.feedback])

    def loops(self) -> list[list[str]]:
        """The nodes in the order in which they run; those in common circles are together."""
        order = self.order()
        place = {name: i for i, name in enumerate(order)}
        group = {name: name for name in order}
        for source, sink in self.feedback:
            inside = _between(self, sink, source)
            first = min((group[name] for name in inside), key=place.__getitem__)
            merged = {group[name] for name in inside}
            group = {name: first if g in merged else g for name, g in group.items()}
        together: dict[str, list[str]] = {}
        for name in order:
            together.setdefault(group[name], []).append(name)
        edges = [(group[a], group[b]) for a, b in self.edges if group[a] != group[b]]
        return [together[name] for name in _sorted(together, edges)]


def _between(graph: Graph, first: str, last: str) -> set[str]:
    """The nodes on paths from one node to another."""
    backwards = [(sink, source) for source, sink in graph.edges]
    return _reached(first, graph.edges) & _reached(last, backwards)


def _reached(start: str, edges: list[tuple[str, str]]) -> set[str]:
    """The nodes to which paths lead."""
    sinks: dict[str, list[str]] = {}
    for source, sink in edges:
        sinks.setdefault(source, []).append(sink)
    found, left = {start}, [start]
    while left:
        new = [name for name in sinks.get(left.pop(), ()) if name not in found]
        found |= set(new)
        left += new
    return found


def _sorted(nodes: Iterable[str], edges: list[tuple[str, str]]) -> list[str]:
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    for source, sink in edges:
        sources[sink].append(source)
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
    for source, sink in graph.edges:
        for name, kind, wrong in ((source, "Output", "leaves"), (sink, "Input", "enters")):
            if graph.nodes[name]["type"] == kind:
                raise InputError(f"{path}: an edge {wrong} {name}, the {kind} of the graph.")
    _check_circles(path, graph)
    for name, node in graph.nodes.items():
        if node["type"] != "Input" and not graph.inputs_of(name):
            raise InputError(f"{path}: no edge leads to node {name} ({node['type']}).")
    reached = _reached(graph.only("Input"), graph.edges)
    if apart := sorted(graph.nodes.keys() - reached):
        raise InputError(f"{path}: no path leads from the input to node {apart[0]}.")


def _check_circles(path: Path, graph: Graph) -> None:
    """Refuse a circle in which nothing takes time."""
    passing = {n for n, node in graph.nodes.items() if node["type"] not in STATEFUL}
    edges = [(a, b) for a, b in graph.edges if a in passing and b in passing]
    try:
        _sorted(passing, edges)
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise InputError(
            f"{path} is a graph with a circle without a delay, {circle}; expected a neuron or a "
            "Delay in every circle."
        ) from error


def _check_node(path: Path, name: str, node: Any) -> None:
    kind = node.get("type") if isinstance(node, dict) else None
    if not isinstance(kind, str) or kind not in _NEEDED:
        known = ", ".join(_NEEDED)
        found = kind if isinstance(kind, str) else type(kind).__name__
        raise InputError(
            f"{path}: node {name} is a {found}, which is not known here; known are {known}."
        )
    missing = [entry for entry in _NEEDED[kind] if entry not in node]
    if missing:
        raise InputError(f"{path}: node {name} ({kind}) lacks {', '.join(missing)}.")
    check_fields(path, name, node)
