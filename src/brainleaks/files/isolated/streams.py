"""Reading recordings of channels from HDF5, as the Heidelberg data sets SHD and SSC hold them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainleaks.errors import InputError, first_line
from brainleaks.limits import ENTRIES, FILE_BYTES, check_unpacked

_WANTED = ("spikes/times", "spikes/units", "labels")


def read(path: Path) -> dict[str, Any]:
    """Every spike's ``times`` and ``units``, one recording after the other, and their ``counts``.

    And ``labels``, one a recording, with their ``names``, which may be ``None``.

    Raises:
        InputError: if it is no such file, leads to other files, or goes beyond the limits.
    """
    import h5py

    FILE_BYTES.check(path, path.stat().st_size)
    try:
        if not h5py.is_hdf5(path):
            raise InputError(f"{path} is not an HDF5 file.")
        with h5py.File(path, "r") as file:
            times, units, labels = (_dataset(path, file, name) for name in _WANTED)
            if not len(times) == len(units) == len(labels):
                raise InputError(
                    f"{path} has {len(times)} recordings of times, {len(units)} of units and "
                    f"{len(labels)} labels; expected one of each a recording."
                )
            ENTRIES.check(path, len(labels))
            counts, flat = _rows(path, "spikes/times", times)
            others, numbers = _rows(path, "spikes/units", units)
            if not np.array_equal(counts, others):
                which = int(np.nonzero(counts != others)[0][0])
                raise InputError(
                    f"{path}: recording {which} has {counts[which]} times and {others[which]} "
                    "units; expected one of each a spike."
                )
            found = {"times": flat, "units": numbers, "counts": counts, "labels": labels[()]}
            return found | {"names": _names(file)}
    except (InputError, MemoryError):
        raise
    except Exception as error:  # what h5py raises for damage is anyone's guess
        raise InputError(f"{path} is not a complete HDF5 file: {first_line(error)}.") from error


def _dataset(path: Path, file: Any, name: str) -> Any:
    import h5py

    place, group = "", file
    for part in name.split("/"):
        place = f"{place}/{part}"
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            raise InputError(
                f"{path} has no {place}; expected recordings as SHD has them: spikes/times, "
                "spikes/units and labels."
            )
        if not isinstance(link, h5py.HardLink):
            raise InputError(f"{path}: {place} is a link; links are not followed.")
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.ndim != 1 or group.external or group.is_virtual:
        raise InputError(f"{path}: {place} is no data set with one entry a recording.")
    return group


def _rows(path: Path, name: str, rows: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The length of each recording, and all values, which must be numbers."""
    found, total = [], 0
    for row in rows:
        values = np.asarray(row)
        if values.ndim != 1 or values.dtype.kind not in "iuf":
            raise InputError(
                f"{path}: {name} holds {values.dtype} of shape {values.shape}; expected a list of "
                "numbers for each recording."
            )
        total += values.nbytes
        check_unpacked(path, path.stat().st_size, total)
        found.append(values)
    counts = np.array([len(values) for values in found], np.int64)
    return counts, np.concatenate(found) if found else np.zeros(0)


def _names(file: Any) -> list[str] | None:
    """The classes' names, where SHD has them."""
    import h5py

    extra = file.get("extra")
    keys = extra.get("keys") if isinstance(extra, h5py.Group) else None
    if not isinstance(keys, h5py.Dataset) or keys.ndim != 1 or len(keys) > 10_000:
        return None
    return [key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key) for key in keys]
