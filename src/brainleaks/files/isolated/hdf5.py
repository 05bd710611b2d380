"""Reading HDF5, whose C library spins on some damaged files and follows links to other files."""

from pathlib import Path
from typing import Any

import numpy as np

from brainleaks.errors import InputError, first_line
from brainleaks.limits import DEPTH, FILE_BYTES, ITEMS, check_unpacked

_FILTERS = (None, "gzip", "lzf", "szip")


def read_nir(path: Path) -> dict[str, Any]:
    """A NIR file: ``node``, its fields as nested dictionaries, and ``version``.

    Raises:
        InputError: if it is no HDF5 file of a NIR graph, leads to other files, or goes beyond the
            limits.
    """
    import h5py

    FILE_BYTES.check(path, path.stat().st_size)
    try:
        if not h5py.is_hdf5(path):
            raise InputError(f"{path} is not an HDF5 file; expected what nir.write writes.")
        with h5py.File(path, "r") as file:
            reader = _Reader(path)
            root = reader.entries(file)
            if "node" not in root:
                raise InputError(
                    f"{path} is an HDF5 file without a NIR graph; expected what nir.write writes."
                )
            version = reader.dataset(root["version"]) if "version" in root else None
            return {"node": reader.group(root["node"], 0), "version": version}
    except (InputError, MemoryError):
        raise
    except Exception as error:  # what h5py raises for damage is anyone's guess
        raise InputError(f"{path} is not a complete NIR file: {first_line(error)}.") from error


class _Reader:
    """Reads one file's entries, and counts what they ask for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._items = self._bytes = 0

    def entries(self, group: Any) -> dict[str, Any]:
        """The groups and data sets in a group, none of them through a link to elsewhere."""
        import h5py

        found = {}
        for name in group:
            self._items += 1
            ITEMS.check(self._path, self._items)
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                place = f"{group.name.rstrip('/')}/{name}"
                raise InputError(f"{self._path}: {place} is a link; links are not followed.")
            found[name] = group[name]
        return found

    def group(self, group: Any, depth: int) -> dict[str, Any]:
        """A group as nested dictionaries."""
        import h5py

        if not isinstance(group, h5py.Group):
            raise InputError(f"{self._path}: {group.name} is not a group; expected a NIR graph.")
        DEPTH.check(f"{self._path}: {group.name}", depth)
        values: dict[str, Any] = {}
        for name, item in self.entries(group).items():
            if isinstance(item, h5py.Group):
                values[name] = {} if name == "metadata" else self.group(item, depth + 1)
            else:
                values[name] = self.dataset(item)
        return values

    def dataset(self, item: Any) -> Any:
        """A data set's numbers or text."""
        import h5py

        if not isinstance(item, h5py.Dataset):
            raise InputError(
                f"{self._path}: {item.name} is not a dataset; expected numbers or text."
            )
        if item.external or item.is_virtual or item.compression not in _FILTERS:
            raise InputError(
                f"{self._path}: {item.name} is stored in another file or compressed by a plug-in, "
                "which is not supported."
            )
        self._bytes += int(item.nbytes)
        check_unpacked(self._path, self._size, self._bytes)
        if h5py.check_string_dtype(item.dtype):
            ITEMS.check(f"{self._path}: {item.name}", int(item.size or 0))
            # text of any length lies in the file's heap, each time under a new name if it likes
            value = [_text(self._path, item.name, text) for text in np.ravel(item[()]).tolist()]
            return value[0] if item.shape == () else np.reshape(value, item.shape).tolist()
        if item.dtype.kind not in "fiub":
            raise InputError(
                f"{self._path}: {item.name} holds {item.dtype}; expected numbers or text."
            )
        return item[()]


def _text(path: Path, name: str, value: Any) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {name} holds text that is not UTF-8.") from error
