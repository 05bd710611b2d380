"""Graphs within a graph, as one."""

from pathlib import Path
from typing import Any, NamedTuple

from brainleaks.errors import InputError

_GRAPH = "NIRGraph"


class Flat(NamedTuple):
    """Nodes and edges of a graph whose nested graphs were opened, and sentences on that."""

    nodes: dict[str, Any]
    edges: list[tuple[str, str]]
    said: list[str]


def flatten(path: Path, nodes: dict[str, Any], edges: Any) -> Flat:
    """Open nested graphs: their nodes get the graph's name before theirs.

    Raises:
        InputError: if a nested graph has no nodes, or not one input and one output.
    """
    flat: dict[str, Any] = {}
    inside: list[tuple[str, str]] = []
    ends: dict[str, tuple[str, str]] = {}
    said: list[str] = []
    outer, renamed = _repaired(nodes, pairs(path, edges))
    said += renamed
    for name, node in nodes.items():
        if _kind(node) != _GRAPH:
            flat[name] = node
            continue
        if not isinstance(node.get("nodes"), dict):
            raise InputError(f"{path}: the graph {name} has no nodes.")
        nested = flatten(path, node["nodes"], node.get("edges", []))
        said += nested.said
        ends[name] = (
            _only(path, name, nested.nodes, "Input"),
            _only(path, name, nested.nodes, "Output"),
        )
        flat |= {f"{name}.{inner}": part for inner, part in nested.nodes.items()}
        inside += [(f"{name}.{a}", f"{name}.{b}") for a, b in nested.edges]
    joined = [(_end(ends, source, 1), _end(ends, sink, 0)) for source, sink in outer]
    for name, both in ends.items():
        for end in both:
            joined, inside = _without(f"{name}.{end}", joined, inside)
            del flat[f"{name}.{end}"]
    return Flat(flat, list(dict.fromkeys(joined + inside)), said)


def pairs(path: Path, found: Any) -> list[tuple[str, str]]:
    """Pairs of nodes' names, each once.

    Raises:
        InputError: if they are something else.
    """
    whole = isinstance(found, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(end, str) for end in pair)
        for pair in found
    )
    if not whole:
        raise InputError(f"{path}: edges are not pairs of nodes' names; expected (N, 2) text.")
    return list(dict.fromkeys((source, sink) for source, sink in found))


def _repaired(
    nodes: dict[str, Any], edges: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Edges that name one unknown node, where one node is in no edge: they are the same."""
    named = {end for edge in edges for end in edge}
    unknown, unconnected = sorted(named - nodes.keys()), sorted(nodes.keys() - named)
    if len(unknown) != 1 or len(unconnected) != 1:
        return edges, []
    (wrong,), (right,) = unknown, unconnected
    repaired = [(right if a == wrong else a, right if b == wrong else b) for a, b in edges]
    return repaired, [f"Edges name the node {wrong!r}, which the file calls {right!r}."]


def _only(path: Path, name: str, nodes: dict[str, Any], kind: str) -> str:
    found = [name for name, node in nodes.items() if _kind(node) == kind]
    if len(found) != 1:
        raise InputError(f"{path}: the graph {name} has {len(found)} {kind} nodes; expected one.")
    return found[0]


def _kind(node: Any) -> str | None:
    kind = node.get("type") if isinstance(node, dict) else None
    return kind if isinstance(kind, str) else None


def _end(ends: dict[str, tuple[str, str]], name: str, which: int) -> str:
    return f"{name}.{ends[name][which]}" if name in ends else name


def _without(
    name: str, first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The edges with a node left out: what leads to it leads to where it leads."""
    every = first + second
    sources = [a for a, b in every if b == name]
    sinks = [b for a, b in every if a == name]
    kept = [[edge for edge in some if name not in edge] for some in (first, second)]
    return kept[0] + [(a, b) for a in sources for b in sinks], kept[1]
