"""Reading a user's event recordings, whatever the format and the size of the sensor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brainleaks.data.events import FURTHEST_US, Events, checked, read_aedat3, read_five_byte
from brainleaks.data.numpy_files import read_arrays
from brainleaks.errors import InputError
from brainleaks.factory import require
from brainleaks.files import isolated
from brainleaks.limits import RECORDING_US, SAMPLE_BYTES

EVENT_FILES = (".bin", ".npy", ".npz", ".aedat", ".aedat4")
TimeUnit = Literal["us", "ms", "s"]

_MICROSECONDS: dict[TimeUnit, int] = {"us": 1, "ms": 1_000, "s": 1_000_000}
#: More events a microsecond than any sensor sends: their times are in another unit.
_FASTEST = 10
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
            to be unpickled or whose columns are ambiguous, or holds events off the sensor.
    """
    try:
        SAMPLE_BYTES.check(path, path.stat().st_size)
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    where, suffix = str(path), path.suffix.lower()
    if suffix == ".bin":
        return read_five_byte(where, content, sensor or (256, 256))
    if content.startswith(b"#!AER-DAT4"):
        require("aedat")
        columns = isolated.call("aedat4", path)
        return checked(where, _events(where, columns, "us"), sensor or _ANY)
    if suffix in (".aedat", ".aedat4"):
        return read_aedat3(where, content, sensor or _ANY)
    columns = _columns(where, read_arrays(where, content))
    return checked(where, _events(where, columns, time_unit), sensor or _ANY)


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
        if i not in polarity and len(c) > 1 and (c[1:] >= c[:-1]).all()
    ]
    if len(polarity) != 1 or len(growing) != 1:
        raise InputError(
            f"{where}: cannot tell which of its four columns are time and polarity; save an array "
            "with the fields x, y, t and p instead."
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
    off = (x < 0) | (y < 0) | (x >= _ANY[1]) | (y >= _ANY[0]) | (x % 1 != 0) | (y % 1 != 0)
    if off.any():
        i = int(off.argmax())
        raise InputError(
            f"{where}: event {i} lies at x = {x[i]}, y = {y[i]}; expected integers from 0 to "
            f"{_ANY[0] - 1}."
        )
    strange = ~np.isin(columns["p"], (-1, 0, 1))
    if strange.any():
        i = int(strange.argmax())
        raise InputError(
            f"{where}: event {i} has the polarity {columns['p'][i]}; expected 0 or 1, or -1 or 1."
        )
    time = _microseconds(where, columns["t"], time_unit)
    polarity = (columns["p"] > 0).astype(np.uint8)
    return Events(x.astype(np.uint16), y.astype(np.uint16), time, polarity)


def _microseconds(where: str, t: NDArray[Any], unit: TimeUnit) -> NDArray[np.int64]:
    """Times in microseconds, widened before they are multiplied."""
    if not len(t):
        return np.empty(0, np.int64)
    # plain Python numbers, which do not overflow
    first, last = t.min().item(), t.max().item()
    span = (last - first) * _MICROSECONDS[unit]
    if span > RECORDING_US.value or (len(t) > 1 and span < 1) or len(t) > _FASTEST * (span + 1):
        others = " or ".join(
            f"{(last - first) * scale:,.6g} microseconds if they are in {other}"
            for other, scale in _MICROSECONDS.items()
            if other != unit
        )
        raise InputError(
            f"{where}: its {len(t):,} events would span {span:,.6g} microseconds if its times "
            f"were in {unit}, which is implausible, but {others}; set --time-unit."
        )
    if max(abs(first), abs(last)) * _MICROSECONDS[unit] > FURTHEST_US:
        raise InputError(
            f"{where}: its times range from {first} to {last} {unit}; expected at most 285 years."
        )
    wide = t.astype(np.float64 if t.dtype.kind == "f" else np.int64)
    return (wide * _MICROSECONDS[unit]).astype(np.int64)
