"""Recordings of channels as lists of events, in HDF5 or ``.npz``, cut into time steps.

The layout in HDF5 is that of the Heidelberg spiking data sets (Cramer et al. 2020, arXiv
1910.07407): ``spikes/times`` in seconds and ``spikes/units``, a list of each for every recording,
and ``labels``; ``extra/keys`` may name the classes. That in ``.npz`` is the one of
:func:`brainleaks.data.stream_arrays.read_npz`. Events need not be in the order of time.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from brainleaks.data.arrays import Part
from brainleaks.data.stream_arrays import holds_events, read_npz
from brainleaks.errors import InputError, option
from brainleaks.factory import require
from brainleaks.files import isolated
from brainleaks.limits import FILE_BYTES, FRAMES, IMAGE_PIXELS

SUFFIXES = (".h5", ".hdf5")
#: Seconds that recordings may last: beyond, their unit is another one. Words and gestures last a
#: second or so, which is a thousand milliseconds.
_SHORTEST, _LONGEST = 1e-3, 600.0
#: So long a recording in seconds has times between them.
_WHOLE = 3.0


class Files(NamedTuple):
    """The files of a data set; without a test part one is still to be held out."""

    train: Path
    test: Path | None


def find(path: Path) -> Files | None:
    """The files of events that a path names: one, or a folder with one each to train and test."""
    if path.is_file():
        return Files(path, None) if _suits(path) else None
    if not path.is_dir():
        return None
    inside = sorted(p for p in path.iterdir() if _suits(p))
    train, test = ([p for p in inside if part in p.stem.lower()] for part in ("train", "test"))
    return Files(train[0], test[0]) if len(train) == len(test) == 1 else None


def _suits(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or (suffix == ".npz" and holds_events(path))


def load(
    files: Files, steps: int, channels: int | None
) -> tuple[Part, Part | None, list[str] | None]:
    """Read recordings, and cut them into binary time steps, ``(N, T, channels)``.

    Args:
        files: of :func:`find`.
        steps: time steps ``T`` that the longest recording is cut into.
        channels: how many there are; by default as many as fire.

    Raises:
        InputError: naming the file and the recording whose times or channels cannot be right.
    """
    FRAMES.check(option("steps"), steps)
    found = [(path, _read(path)) for path in (files.train, files.test) if path is not None]
    for path, content in found:
        _check_labels(path, content["labels"])
        _check(path, content, channels)
        _check_unit(path, content["times"])
    duration = max(float(content["times"].max()) for _, content in found)
    most = channels or 1 + max(int(content["units"].max()) for _, content in found)
    IMAGE_PIXELS.check(files.train, steps * most)
    for path, content in found:
        where = f"{path}, cut into {steps} steps of {most} channels,"
        FILE_BYTES.check(where, 4 * len(content["labels"]) * steps * most)
    parts = [Part(_frames(c, steps, most, duration), c["labels"]) for _, c in found]
    names = found[0][1]["names"]
    return parts[0], parts[1] if len(parts) > 1 else None, _fitting(names, parts[0].labels)


def _read(path: Path) -> dict[str, Any]:
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    require("h5py")
    content: dict[str, Any] = isolated.call("streams", path)
    return content


def _check(path: Path, content: dict[str, Any], channels: int | None) -> None:
    times, units = content["times"], content["units"]
    ends = np.cumsum(content["counts"])

    def where(wrong: NDArray[np.bool_]) -> str:
        return f"{path}: recording {int(np.searchsorted(ends, int(wrong.argmax()), 'right'))}"

    if not len(times):
        raise InputError(f"{path} holds no spikes.")
    if (wrong := ~np.isfinite(times) | (times < 0)).any():
        raise InputError(
            f"{where(wrong)} has a spike at {times[wrong][0]} seconds; expected 0 or more."
        )
    if units.dtype.kind == "f" and (wrong := units != np.floor(units)).any():
        raise InputError(f"{where(wrong)} has a spike of channel {units[wrong][0]}.")
    low, high = 0, np.inf if channels is None else channels
    if (wrong := (units < low) | (units >= high)).any():
        above = "0 or more" if channels is None else f"0 to {channels - 1}"
        raise InputError(
            f"{where(wrong)} has a spike of channel {units[wrong][0]}; expected {above}."
        )


def _check_labels(path: Path, labels: NDArray[Any]) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0:
        first = f" that begin with {labels.flat[0]}" if labels.size else ""
        raise InputError(
            f"{path}: labels are {labels.dtype} of shape {labels.shape}{first}; expected one class "
            "for each recording, a whole number from 0."
        )


def _check_unit(path: Path, times: NDArray[Any]) -> None:
    """Refuse times that cannot be in seconds."""
    longest = float(times.max())
    remedy = "Times must be in seconds: divide milliseconds by 1,000, microseconds by 1,000,000."
    if not _SHORTEST <= longest <= _LONGEST:
        raise InputError(
            f"{path}: the longest recording lasts {longest:g} seconds; expected {_SHORTEST:g} to "
            f"{_LONGEST:g}. {remedy}"
        )
    if longest >= _WHOLE and (times == np.floor(times)).all():
        raise InputError(
            f"{path}: every time is a whole number, up to {longest:g}; expected fractions of a "
            f"second. {remedy}"
        )


def _frames(
    content: dict[str, Any], steps: int, channels: int, duration: float
) -> NDArray[np.uint8]:
    """Ones where a channel fires in a time step."""
    counts = content["counts"]
    frames = np.zeros((len(counts), steps, channels), np.uint8)
    when = (content["times"].astype(np.float64) / duration * steps).astype(np.int64)
    which = np.repeat(np.arange(len(counts)), counts)
    frames[which, np.minimum(when, steps - 1), content["units"].astype(np.int64)] = 1
    return frames


def _fitting(names: list[str] | None, labels: NDArray[Any]) -> list[str] | None:
    """The names, if there is one for every label."""
    return names if names and labels.size and int(labels.max()) < len(names) else None
