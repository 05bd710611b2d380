"""Events in arrays: which column is which, and what no sensor sends."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brainleaks.data.events import FURTHEST_US, Events
from brainleaks.errors import InputError, option
from brainleaks.limits import RECORDING_US

TimeUnit = Literal["us", "ms", "s"]

MICROSECONDS: dict[TimeUnit, int] = {"us": 1, "ms": 1_000, "s": 1_000_000}
#: More events a microsecond than any sensor sends: their times are in another unit.
_FASTEST = 10
#: Sensors larger than any: what is on none of them is damage.
_SIDE = 1 << 15
ANY_SENSOR = (_SIDE, _SIDE)
_FIELDS = ("x", "y", "t", "p")
#: What other libraries call the same.
_ALIASES = {"ts": "t", "timestamp": "t", "time": "t", "pol": "p", "polarity": "p"}


def columns_of(where: str, found: Any, *, time_jumps: bool = False) -> dict[str, NDArray[Any]]:
    """The columns x, y, t and p by name.

    Args:
        where: the file, for errors.
        found: an array, or arrays by name.
        time_jumps: whether a column in which 1 % of the entries are less than those before them
            may be the time, in an array without names.

    Raises:
        InputError: if they are named otherwise, or have no names and cannot be told apart.
    """
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
    return _told_apart(where, found, 0.01 if time_jumps else 0.0)


def _told_apart(where: str, rows: NDArray[Any], jumps: float) -> dict[str, NDArray[Any]]:
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
        if i not in polarity and len(c) > 1 and (c[1:] < c[:-1]).mean() <= jumps
    ]
    if len(polarity) != 1 or len(growing) != 1:
        raise InputError(
            f"{where}: cannot tell which of its four columns are time and polarity; save an array "
            "with the fields x, y, t and p instead."
        )
    x, y = (i for i in range(4) if i not in (*polarity, *growing))
    return {"x": columns[x], "y": columns[y], "t": columns[growing[0]], "p": columns[polarity[0]]}


def events_of(where: str, columns: dict[str, NDArray[Any]], time_unit: TimeUnit) -> Events:
    """The events of columns, in their order.

    Args:
        where: the file, for errors.
        columns: x, y, t and p, one number an event each.
        time_unit: of ``t``.

    Raises:
        InputError: naming the column or the event that cannot be right.
    """
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
    off = (
        (x < 0)
        | (y < 0)
        | (x >= ANY_SENSOR[1])
        | (y >= ANY_SENSOR[0])
        | (x % 1 != 0)
        | (y % 1 != 0)
    )
    if off.any():
        i = int(off.argmax())
        raise InputError(
            f"{where}: event {i} lies at x = {x[i]}, y = {y[i]}; expected integers from 0 to "
            f"{_SIDE - 1}."
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


def check_unit(where: str, t: NDArray[Any], unit: TimeUnit) -> None:
    """Refuse times that no recording has in this unit.

    Args:
        where: the file, for errors.
        t: times of events.
        unit: that they are taken to be in.

    Raises:
        InputError: naming the units in which they would make sense.
    """
    if not len(t):
        return
    # plain Python numbers, which do not overflow
    first, last = t.min().item(), t.max().item()
    span = (last - first) * MICROSECONDS[unit]
    if span > RECORDING_US.value or (len(t) > 1 and span < 1) or len(t) > _FASTEST * (span + 1):
        others = " or ".join(
            f"{(last - first) * scale:,.6g} microseconds if they are in {other}"
            for other, scale in MICROSECONDS.items()
            if other != unit
        )
        raise InputError(
            f"{where}: its {len(t):,} events would span {span:,.6g} microseconds if its times "
            f"were in {unit}, which is implausible, but {others}; set {option('time-unit')}."
        )
    if max(abs(first), abs(last)) * MICROSECONDS[unit] > FURTHEST_US:
        raise InputError(
            f"{where}: its times range from {first} to {last} {unit}; expected at most 285 years."
        )


def _microseconds(where: str, t: NDArray[Any], unit: TimeUnit) -> NDArray[np.int64]:
    """Times in microseconds, widened before they are multiplied."""
    check_unit(where, t, unit)
    wide = t.astype(np.float64 if t.dtype.kind == "f" else np.int64)
    return (wide * MICROSECONDS[unit]).astype(np.int64)
