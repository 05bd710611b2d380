"""Reading a user's event recordings, whatever the format and the size of the sensor."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brainleaks.data.events import Events, checked, read_aedat3, read_five_byte
from brainleaks.errors import InputError

EVENT_FILES = (".bin", ".npy", ".npz", ".aedat", ".aedat4")
TimeUnit = Literal["us", "ms", "s"]

_MICROSECONDS: dict[TimeUnit, int] = {"us": 1, "ms": 1_000, "s": 1_000_000}
_LARGEST_FILE = 1 << 30
#: Sensors larger than any: what is on none of them is damage.
_ANY = (1 << 15, 1 << 15)
_FIELDS = ("x", "y", "t", "p")
#: What other libraries call the same.
_ALIASES = {"ts": "t", "timestamp": "t", "time": "t", "pol": "p", "polarity": "p"}


def read_events(
    path: Path, sensor: tuple[int, int] | None = None, time_unit: TimeUnit = "us"
) -> Events:
    """One recording.

    ``.bin`` is N-MNIST's format, ``.aedat`` AEDAT 3.1 or 4, ``.aedat4`` AEDAT 4 (by the optional
    package aedat). ``.npy`` and ``.npz`` hold an array with the fields x, y, t and p, as Tonic's,
    arrays of these names, as SpikingJelly's, or one array ``(events, 4)``, whose columns are told
    apart: time is what only grows, polarity what has two values, and x comes before y.

    Args:
        path: of the file.
        sensor: ``(height, width)``; by default events may lie anywhere.
        time_unit: of the times in ``.npy`` and ``.npz``; the other formats state theirs.

    Raises:
        InputError: if the file is damaged, empty or of another kind, is an array that would have
            to be unpickled or whose columns cannot be told apart, or holds events off the sensor.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path} has over 1 GB; cut it into recordings of one sample each.")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    where, suffix = str(path), path.suffix.lower()
    if suffix == ".bin":
        return read_five_byte(where, content, sensor or (256, 256))
    if content.startswith(b"#!AER-DAT4"):
        return checked(where, _aedat4(path), sensor or _ANY)
    if suffix in (".aedat", ".aedat4"):
        return read_aedat3(where, content, sensor or _ANY)
    columns = _columns(where, load_array(where, content))
    return checked(where, _events(where, columns, time_unit), sensor or _ANY)


def load_array(where: str, content: bytes) -> Any:
    """What an ``.npy`` or ``.npz`` file holds: an array, or arrays by name.

    Raises:
        InputError: if it is damaged, would have to be unpickled, or unpacks to over 1 GB.
    """
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
        if not isinstance(found, np.ndarray):
            if sum(info.file_size for info in found.zip.infolist()) > _LARGEST_FILE:
                raise InputError(f"{where} unpacks to over 1 GB; make it smaller.")
            arrays = {name: found[name] for name in found.files}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("a member is no array")
            return arrays
    except InputError:
        raise
    except (ValueError, EOFError, OSError, KeyError, SyntaxError, zipfile.BadZipFile) as error:
        if "Object arrays" in str(error) or content.startswith(b"\x80"):
            raise InputError(
                f"{where} holds Python objects and would have to be unpickled, which can run "
                "anyone's code; save plain arrays of numbers."
            ) from error
        raise InputError(f"{where} is not a whole .npy or .npz file of numbers.") from error
    return found


def _columns(where: str, found: Any) -> dict[str, NDArray[Any]]:
    """x, y, t and p by name."""
    if isinstance(found, Mapping):
        named = {_ALIASES.get(name, name): array for name, array in found.items()}
        if set(_FIELDS) <= named.keys():
            return {name: named[name] for name in _FIELDS}
        if len(named) != 1:
            raise InputError(
                f"{where} holds {', '.join(sorted(found)) or 'nothing'}; expected arrays named "
                "x, y, t and p."
            )
        found = next(iter(named.values()))
    if found.dtype.names:
        fields = {_ALIASES.get(name, name): name for name in found.dtype.names}
        if not set(_FIELDS) <= fields.keys():
            raise InputError(
                f"{where} has the fields {', '.join(found.dtype.names)}; expected x, y, t and p."
            )
        return {name: found[fields[name]] for name in _FIELDS}
    return _told_apart(where, found)


def _told_apart(where: str, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The columns of an array without names."""
    if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "iufb":
        raise InputError(
            f"{where} is an array of {rows.dtype} of shape {rows.shape}; expected the fields x, y, "
            "t and p, or four columns of numbers."
        )
    columns = list(rows.T)
    if not len(rows):
        return dict(zip(_FIELDS, columns, strict=True))
    polarity = [i for i, c in enumerate(columns) if set(np.unique(c)) <= {-1, 0, 1}]
    growing = [
        i
        for i, c in enumerate(columns)
        if i not in polarity and len(c) > 1 and (np.diff(c) >= 0).all()
    ]
    if len(polarity) != 1 or len(growing) != 1:
        raise InputError(
            f"{where}: which of its four columns are time and polarity cannot be told; save an "
            "array with the fields x, y, t and p instead."
        )
    x, y = (i for i in range(4) if i not in (*polarity, *growing))
    return {"x": columns[x], "y": columns[y], "t": columns[growing[0]], "p": columns[polarity[0]]}


def _events(where: str, columns: dict[str, NDArray[Any]], time_unit: TimeUnit) -> Events:
    for name, column in columns.items():
        if column.dtype.kind not in "iufb" or column.ndim != 1:
            raise InputError(
                f"{where}: {name} is an array of {column.dtype} of shape {column.shape}; expected "
                "one number for each event."
            )
        if len(column) != len(columns["x"]):
            raise InputError(
                f"{where}: {name} has {len(column)} entries and x has {len(columns['x'])}; "
                "expected one of each for every event."
            )
        if not np.isfinite(column).all():
            raise InputError(f"{where}: {name} holds values that are not finite numbers.")
    x, y = columns["x"], columns["y"]
    off = (x < 0) | (y < 0) | (x >= _ANY[1]) | (y >= _ANY[0])
    if off.any():
        i = int(off.argmax())
        raise InputError(f"{where}: event {i} lies at x = {x[i]}, y = {y[i]}, off any sensor.")
    t = columns["t"].astype(np.float64) if columns["t"].dtype.kind == "f" else columns["t"]
    time = (t * _MICROSECONDS[time_unit]).astype(np.int64)
    if len(time) > 1 and time[0] == time[-1]:
        raise InputError(
            f"{where}: all its events fall into one microsecond; if its times are not in "
            "microseconds, say so by --time-unit."
        )
    polarity = (columns["p"] > 0).astype(np.uint8)
    return Events(x.astype(np.uint16), y.astype(np.uint16), time, polarity)


def _aedat4(path: Path) -> Events:
    try:
        import aedat
    except ImportError as error:
        raise InputError(
            f"{path} is an AEDAT 4 recording; reading it needs the package aedat: "
            "pip install 'brainleaks[aedat]'."
        ) from error
    try:
        packets = [packet["events"] for packet in aedat.Decoder(path) if "events" in packet]
    except BaseException as error:  # the decoder, which is Rust, panics past Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise InputError(f"{path} is not a whole AEDAT 4 recording ({error}).") from error
    if not packets:
        raise InputError(f"{path} is empty: it holds no events.")
    rows = np.concatenate(packets)
    columns = {"x": rows["x"], "y": rows["y"], "t": rows["t"], "p": rows["on"]}
    return _events(str(path), {name: np.asarray(c) for name, c in columns.items()}, "us")
