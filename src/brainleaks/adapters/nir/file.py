"""NIR files, read within limits and checked."""

from pathlib import Path
from typing import Any

import numpy as np

from brainleaks.adapters.nir.graph import Graph, check
from brainleaks.errors import InputError
from brainleaks.factory import require

_FILE_BYTES = 2**31
_VALUE_BYTES = 2**31
_DEPTH = 6
_NODES = 1_000
_FILTERS = (None, "gzip", "lzf", "szip")


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
            return _graph(path, *_values(path, file))
    except InputError:
        raise
    except (OSError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a whole NIR file: {error}.") from error


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


def _graph(path: Path, values: dict[str, Any], version: str | None) -> Graph:
    if values.get("type") != "NIRGraph" or not isinstance(values.get("nodes"), dict):
        raise InputError(f"{path} holds {values.get('type', 'something')}; expected a NIRGraph.")
    nodes = values["nodes"]
    if len(nodes) > _NODES:
        raise InputError(f"{path} has {len(nodes):,} nodes; at most {_NODES:,} are run.")
    edges = [(str(a), str(b)) for a, b in values.get("edges", [])]
    graph = Graph(nodes, list(dict.fromkeys(edges)), version)
    check(path, graph)
    return graph
