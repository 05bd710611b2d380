"""Recordings of channels as lists of events in ``.npz``, without pickled arrays of arrays."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainleaks.data.numpy_files import read_arrays
from brainleaks.errors import InputError
from brainleaks.limits import ENTRIES, FILE_BYTES

_LAYOUT = (
    "expected the arrays times, units, labels, and lengths (the events of each recording) or "
    "offsets (where each begins, and the end of the last)"
)


def holds_events(path: Path) -> bool:
    """Whether an ``.npz`` holds lists of events, by the names of its arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"times.npy", "units.npy"} <= set(archive.namelist())
    except Exception:  # damage, which its reader names
        return False


def read_npz(path: Path) -> dict[str, Any]:
    """What :func:`brainleaks.files.isolated.streams.read` finds in HDF5, of an ``.npz``.

    ``times`` (seconds) and ``units`` (channels, from 0) have one entry an event, one recording
    after the other; ``lengths`` says how many events each has, or ``offsets``, one more than there
    are recordings, where each begins and ends; ``labels`` has one entry a recording.
    ``class_names`` may name the classes.

    Args:
        path: of the file.

    Raises:
        InputError: if it is damaged, would have to be unpickled, or its arrays do not fit together.
    """
    FILE_BYTES.check(path, path.stat().st_size)
    found = read_arrays(str(path), path.read_bytes())
    if missing := [name for name in ("times", "units", "labels") if name not in found]:
        raise InputError(f"{path} has no {missing[0]}; {_LAYOUT}.")
    for name in ("times", "units"):
        if found[name].ndim != 1 or found[name].dtype.kind not in "iuf":
            raise InputError(
                f"{path}: {name} is an array of {found[name].dtype} of shape {found[name].shape}; "
                "expected one number for each event."
            )
    counts = _counts(path, found)
    ENTRIES.check(path, len(counts))
    for name, expected in (("units", len(found["times"])), ("labels", len(counts))):
        if len(np.atleast_1d(found[name])) != expected:
            of = "events" if name == "units" else "recordings"
            raise InputError(
                f"{path} has {found[name].size} {name} for {expected} {of}; expected one each."
            )
    names = found.get("class_names")
    return {
        "times": found["times"],
        "units": found["units"],
        "counts": counts,
        "labels": found["labels"],
        "names": None if names is None else [str(name) for name in np.ravel(names)],
    }


def _counts(path: Path, found: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """How many events each recording has."""
    given = [name for name in ("lengths", "offsets") if name in found]
    if len(given) != 1:
        raise InputError(f"{path} has {' and '.join(given) or 'neither'}; {_LAYOUT}.")
    values, total = found[given[0]], len(found["times"])
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise InputError(
            f"{path}: {given[0]} is an array of {values.dtype} of shape {values.shape}; expected "
            "whole numbers."
        )
    if len(values) and not 0 <= int(values.min()) <= int(values.max()) <= total:
        raise InputError(
            f"{path}: {given[0]} range from {values.min()} to {values.max()}; expected 0 to "
            f"{total}, the number of events."
        )
    wide = values.astype(np.int64)
    if given == ["lengths"]:
        if int(wide.sum()) != total:
            raise InputError(
                f"{path}: lengths add up to {int(wide.sum()):,}; expected {total:,}, the number of "
                "events."
            )
        return wide
    if len(wide) < 2 or wide[0] != 0 or wide[-1] != total or (np.diff(wide) < 0).any():
        raise InputError(f"{path}: offsets must grow from 0 to {total:,}, the number of events.")
    return np.diff(wide)
