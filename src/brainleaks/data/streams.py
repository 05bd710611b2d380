"""Recordings of channels in HDF5, in the layout of SHD and SSC, cut into time steps.

The layout is that of the Heidelberg spiking data sets (Cramer et al. 2020, arXiv 1910.07407):
``spikes/times`` in seconds and ``spikes/units``, a list of each for every recording, and
``labels``; ``extra/keys`` may name the classes.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from brainleaks.data.arrays import Part
from brainleaks.errors import InputError
from brainleaks.factory import require
from brainleaks.files import isolated
from brainleaks.limits import FILE_BYTES, FRAMES, IMAGE_PIXELS

SUFFIXES = (".h5", ".hdf5")
#: Seconds that recordings may last: beyond, their unit is another one.
_SHORTEST, _LONGEST = 1e-3, 3600.0


class Files(NamedTuple):
    """The files of a data set; without a test part one is still to be held out."""

    train: Path
    test: Path | None


def find(path: Path) -> Files | None:
    """The HDF5 files that a path names: one, or a folder with one each to train and to test."""
    if path.is_file():
        return Files(path, None) if path.suffix.lower() in SUFFIXES else None
    if not path.is_dir():
        return None
    inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    train, test = ([p for p in inside if part in p.stem.lower()] for part in ("train", "test"))
    return Files(train[0], test[0]) if len(train) == len(test) == 1 else None


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
    require("h5py")
    FRAMES.check("--steps", steps)
    found = [(p, isolated.call("streams", p)) for p in (files.train, files.test) if p is not None]
    for path, content in found:
        _check(path, content, channels)
    duration = max(float(content["times"].max()) for _, content in found)
    if not _SHORTEST <= duration <= _LONGEST:
        raise InputError(
            f"{files.train}: the longest recording lasts {duration:g} seconds; expected "
            f"{_SHORTEST:g} to {_LONGEST:g}. Times must be in seconds."
        )
    most = channels or 1 + max(int(content["units"].max()) for _, content in found)
    IMAGE_PIXELS.check(files.train, steps * most)
    for path, content in found:
        where = f"{path}, cut into {steps} steps of {most} channels,"
        FILE_BYTES.check(where, 4 * len(content["labels"]) * steps * most)
    parts = [Part(_frames(c, steps, most, duration), c["labels"]) for _, c in found]
    names = found[0][1]["names"]
    return parts[0], parts[1] if len(parts) > 1 else None, _fitting(names, parts[0].labels)


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
