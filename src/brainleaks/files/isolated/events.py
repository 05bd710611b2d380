"""Reading events from HDF5 as Prophesee's software writes them, ``CD/events``."""

from pathlib import Path
from typing import Any

import numpy as np

from brainleaks.errors import InputError, first_line
from brainleaks.limits import ENTRIES, FILE_BYTES, check_unpacked

#: Prophesee's own compression, by its number in the HDF Group's registry; decoded by the parent.
_ECF = 0x8ECF
_FIELDS = ("x", "y", "t", "p")


def read(path: Path) -> dict[str, Any]:
    """The columns x, y, t (microseconds) and p, or the compressed ``chunks`` that hold them.

    And ``geometry``, the file's text such as 1280x720, or ``None``. Each chunk is an array of
    bytes, and ``count`` says how many events all of them hold.

    Raises:
        InputError: if it is no such file, leads to other files, or goes beyond the limits.
    """
    import h5py

    FILE_BYTES.check(path, path.stat().st_size)
    try:
        if not h5py.is_hdf5(path):
            raise InputError(f"{path} is not an HDF5 file.")
        with h5py.File(path, "r") as file:
            events = _events(path, file)
            said = file.attrs.get("geometry")
            geometry = said if isinstance(said, str) and len(said) < 20 else None
            filters = [events.id.get_create_plist().get_filter(i)[0] for i in range(_depth(events))]
            if filters == [_ECF]:
                return _chunks(path, events) | {"geometry": geometry}
            check_unpacked(path, path.stat().st_size, int(events.nbytes))
            rows = events[()]
            return {name: rows[name] for name in _FIELDS} | {"geometry": geometry}
    except (InputError, MemoryError):
        raise
    except Exception as error:  # what h5py raises for damage is anyone's guess
        raise InputError(f"{path} is not a complete HDF5 file: {first_line(error)}.") from error


def _depth(events: Any) -> int:
    return int(events.id.get_create_plist().get_nfilters())


def _events(path: Path, file: Any) -> Any:
    """The data set, through no link."""
    import h5py

    group = file
    for name in ("CD", "events"):
        link = group.get(name, getlink=True) if isinstance(group, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise InputError(
                f"{path} has no CD/events; expected the HDF5 files of Prophesee's software. "
                "Convert others to .npz with x, y, t and p."
            )
        group = group[name]
    if not isinstance(group, h5py.Dataset) or group.ndim != 1 or group.external or group.is_virtual:
        raise InputError(f"{path}: CD/events is no list of events.")
    if not set(_FIELDS) <= set(group.dtype.names or ()):
        raise InputError(f"{path}: CD/events holds {group.dtype}; expected the fields x, y, p, t.")
    return group


def _chunks(path: Path, events: Any) -> dict[str, Any]:
    number = events.id.get_num_chunks()
    ENTRIES.check(path, number)
    infos = sorted((events.id.get_chunk_info(i) for i in range(number)), key=_start)
    check_unpacked(path, path.stat().st_size, sum(info.size for info in infos))
    return {
        "chunks": [
            np.frombuffer(events.id.read_direct_chunk(info.chunk_offset)[1], np.uint8)
            for info in infos
        ],
        "count": len(events),
    }


def _start(info: Any) -> int:
    return int(info.chunk_offset[0])
