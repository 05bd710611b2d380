"""NIR files, read in a child process (:mod:`brainleaks.files.isolated.hdf5`) and checked."""

from pathlib import Path
from typing import Any

from brainleaks.adapters.nir.graph import Graph, check
from brainleaks.adapters.nir.nested import flatten
from brainleaks.errors import InputError
from brainleaks.factory import require
from brainleaks.files import isolated

_NODES = 1_000


def read_graph(path: Path) -> Graph:
    """Read a NIR file.

    Raises:
        InputError: if it is no HDF5 file of a NIR graph, goes beyond the limits, or holds nodes
            that are unknown here, or a circle without neurons or delays in it.
    """
    require("h5py")
    if not path.is_file():
        raise InputError(f"no such file: {path}.")
    found = isolated.call("nir", path)
    version = found["version"]
    if version is not None and not isinstance(version, str):
        raise InputError(f"{path}: /version is {type(version).__name__}; expected text.")
    return _graph(path, found["node"], version)


def _graph(path: Path, values: dict[str, Any], version: str | None) -> Graph:
    kind, nodes = values.get("type"), values.get("nodes")
    if not isinstance(kind, str) or kind != "NIRGraph" or not isinstance(nodes, dict):
        found = kind[:100] if isinstance(kind, str) else "something"
        raise InputError(f"{path} holds {found}; expected a NIRGraph with its nodes.")
    if len(nodes) > _NODES:
        raise InputError(f"{path} has {len(nodes):,} nodes; at most {_NODES:,} are run.")
    flat = flatten(path, nodes, values.get("edges", []))
    if len(flat.nodes) > _NODES:
        raise InputError(f"{path} has {len(flat.nodes):,} nodes; at most {_NODES:,} are run.")
    graph = Graph(flat.nodes, flat.edges, version, flat.said)
    check(path, graph)
    return graph
