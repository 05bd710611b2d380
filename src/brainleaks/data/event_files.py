"""Reading a user's event recordings, whatever the format and the size of the sensor."""

from pathlib import Path
from typing import NamedTuple

from brainleaks.data.event_arrays import ANY_SENSOR, TimeUnit, columns_of, events_of
from brainleaks.data.event_hdf5 import read_hdf5
from brainleaks.data.event_stream import decode_es
from brainleaks.data.event_text import read_text
from brainleaks.data.events import Events, checked, decode_aedat3, decode_five_byte
from brainleaks.data.numpy_files import read_arrays
from brainleaks.data.prophesee import LARGEST, decode_dat, decode_raw
from brainleaks.data.time_repair import Repair, repair_times
from brainleaks.errors import InputError, option
from brainleaks.factory import require
from brainleaks.files import isolated
from brainleaks.limits import SAMPLE_BYTES

TEXT_FILES = (".csv", ".txt")
EVENT_FILES = (
    ".bin", ".npy", ".npz", ".aedat", ".aedat4", ".raw", ".dat", ".es", ".hdf5", ".h5", *TEXT_FILES,
)  # fmt: skip
#: Formats that are not read: what they are, and what to make of them.
FOREIGN = {
    ".bag": "a ROS bag; export its events to text with lines t x y p",
    ".db3": "a ROS 2 bag; export its events to text with lines t x y p",
    ".mcap": "a ROS 2 bag; export its events to text with lines t x y p",
    ".mat": "a MATLAB file; save x, y, t and p to .npz with scipy.io.loadmat and numpy.savez",
    ".tar": "an archive; unpack it",
    ".zip": "an archive; unpack it",
    ".gz": "compressed; unpack it",
    ".pkl": "a pickle, which can run code; save x, y, t and p with numpy.savez",
    ".pt": "a pickle, which can run code; save x, y, t and p with numpy.savez",
    ".mp4": "a video; convert it to events with a simulator first",
    ".avi": "a video; convert it to events with a simulator first",
}
_SENSOR = (256, 256)  # that N-MNIST's bytes reach


class Found(NamedTuple):
    """One recording: its events, ``(height, width)`` if its file says, and what was repaired."""

    events: Events
    sensor: tuple[int, int] | None
    repair: Repair


def read_events(
    path: Path,
    sensor: tuple[int, int] | None = None,
    time_unit: TimeUnit | None = None,
    *,
    repair: bool = False,
) -> Events:
    """The events of one recording; see :func:`read_recording`."""
    return read_recording(path, sensor, time_unit, repair=repair).events


def read_recording(
    path: Path,
    sensor: tuple[int, int] | None = None,
    time_unit: TimeUnit | None = None,
    *,
    repair: bool = False,
) -> Found:
    """One recording, in any of these formats.

    - ``.raw`` and ``.dat`` of Prophesee's cameras, in EVT 2.0, 2.1 and 3.0;
    - ``.hdf5`` and ``.h5`` of Prophesee's software (by the optional package h5py);
    - ``.aedat``, AEDAT 3.1 or 4, and ``.aedat4``, AEDAT 4 (by the optional package aedat);
    - ``.es``, Event Stream 2;
    - ``.bin``, N-MNIST's format;
    - ``.csv`` and ``.txt``: a line names the columns x, y, p and t, or all lines are ``t x y p``;
    - ``.npy`` and ``.npz``: an array with the fields x, y, t and p, as Tonic's, arrays of these
      names, as SpikingJelly's, or one array ``(events, 4)``, whose columns are told apart: time is
      what only grows, polarity what has two values, and x comes before y.

    Args:
        path: of the file.
        sensor: ``(height, width)``; by default what the file says, or else events may lie
            anywhere.
        time_unit: of the times in text and arrays, by default microseconds in arrays and as
            :func:`~brainleaks.data.event_text.read_text` finds in text; the other formats state
            theirs.
        repair: whether to repair times that run backwards, by
            :func:`~brainleaks.data.time_repair.repair_times`; otherwise they are refused.

    Raises:
        InputError: if the file is damaged, empty or of another kind, is an array that would have
            to be unpickled or whose columns are ambiguous, or holds events off the sensor.
    """
    where = str(path)
    try:
        SAMPLE_BYTES.check(path, path.stat().st_size)
        events, said = _decoded(path, time_unit, repair)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    done = Repair()
    if repair:
        events, done = repair_times(where, events)
    checked(where, events, sensor or said or _largest(path), _remedy())
    return Found(events, said, done)


def _remedy() -> str:
    return f"Use {option('repair-times', True)} to sort or drop such events."


def _largest(path: Path) -> tuple[int, int]:
    suffix = path.suffix.lower()
    return {".bin": _SENSOR, ".raw": LARGEST}.get(suffix, ANY_SENSOR)


def _decoded(
    path: Path, time_unit: TimeUnit | None, repair: bool
) -> tuple[Events, tuple[int, int] | None]:
    """The events in the order of the file, and the sensor's size if the file says."""
    where, suffix = str(path), path.suffix.lower()
    if suffix in (".hdf5", ".h5"):
        columns, said = read_hdf5(path)
        return events_of(where, columns, "us"), said
    content = path.read_bytes()
    if suffix == ".raw":
        return decode_raw(where, content)
    if suffix == ".dat":
        return decode_dat(where, content)
    if suffix == ".es":
        return decode_es(where, content)
    if suffix == ".bin":
        return decode_five_byte(where, content), None
    if content.startswith(b"#!AER-DAT4"):
        require("aedat")
        return events_of(where, isolated.call("aedat4", path), "us"), None
    if suffix in (".aedat", ".aedat4"):
        return decode_aedat3(where, content), None
    if suffix in TEXT_FILES:
        return events_of(where, read_text(where, content, time_unit), "us"), None
    columns = columns_of(where, read_arrays(where, content), time_jumps=repair)
    return events_of(where, columns, time_unit or "us"), None
