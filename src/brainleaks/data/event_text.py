"""Events as text: ``.csv`` and ``.txt``, one event a line."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainleaks.data import _decoders
from brainleaks.data.event_arrays import MICROSECONDS, TimeUnit, check_unit
from brainleaks.errors import InputError, option, printable

_NAMES = {
    "x": "x", "col": "x", "column": "x", "y": "y", "row": "y", "p": "p", "pol": "p",
    "polarity": "p", "on": "p",
}  # fmt: skip
_TIME = re.compile(r"(?:timestamps?|time|ts|t)(?:[ _-]+([a-zµ]+)|[ _-]*[\[(]([a-zµ]+)[\])])?")
_UNITS: dict[str, TimeUnit | None] = {
    "": None, "s": "s", "sec": "s", "seconds": "s", "ms": "ms", "milliseconds": "ms", "us": "us",
    "µs": "us", "usec": "us", "microseconds": "us",
}  # fmt: skip
#: What files without a header hold, as those of the rpg event camera data set.
_WITHOUT_HEADER = ("t", "x", "y", "p")
_MARK = b"\xef\xbb\xbf"  # what Windows begins UTF-8 with
_HEADER_BYTES, _MOST_COLUMNS = 4_096, 16
#: Spans of times without a unit that leave no doubt: whole numbers that last long enough as
#: microseconds, fractions that do not last too long as seconds.
_LEAST_TICKS, _MOST_SECONDS = 10_000, 1_000


def read_text(where: str, content: bytes, unit: TimeUnit | None) -> dict[str, NDArray[Any]]:
    """The columns x, y, p and t (int64, in microseconds) of a text.

    The first line may name the columns, in any order and beside others; otherwise there are four,
    ``t x y p``. The unit of time is the one that is given, or that the name of the column says, as
    ``t_us`` does; otherwise times with fractions are in seconds, and whole numbers in
    microseconds, unless their span leaves a doubt.

    Args:
        where: the file, for errors.
        content: all of it.
        unit: of the times, if it was said.

    Raises:
        InputError: naming the line that is no event, or what is missing or in doubt.
    """
    named, start = _header(where, content)
    names = named or list(_WITHOUT_HEADER)
    fields, said = _fields(where, names)
    raw = np.frombuffer(content, np.uint8, offset=start)
    rows, wrong = _decoders.numbers(raw, len(names))
    if wrong >= 0:
        raise _no_event(where, content, start + wrong, names)
    columns = {name: rows[:, i] for name, i in fields.items()}
    if not named and not np.isin(columns["p"], (-1, 0, 1)).all():
        raise InputError(
            f"{where} has no line that names its columns, so they are taken for t, x, y and p, but "
            "the last holds other values than 0 and 1; begin the file with a line such as x,y,p,t."
        )
    unit = unit or said or _unit(where, columns["t"])
    check_unit(where, columns["t"], unit)
    return columns | {"t": np.rint(columns["t"] * MICROSECONDS[unit]).astype(np.int64)}


def _header(where: str, content: bytes) -> tuple[list[str] | None, int]:
    """The names of the columns, if the first line has some, and where the events begin."""
    first = len(_MARK) if content.startswith(_MARK) else 0
    line, newline, _ = content[first:_HEADER_BYTES].partition(b"\n")
    text = line.decode("utf-8", "replace").strip()
    if not re.search(r"[A-Za-z]{2}|[A-DF-Zabcdf-z]", text):
        return None, first
    names = [part.strip(" \t\"'").lower() for part in _parts(text.lstrip("# \t"))]
    if text.startswith("#") and not {"x", "y"} <= set(names):
        return None, first  # a comment
    if not newline or len(names) > _MOST_COLUMNS:
        raise InputError(
            f"{where} begins with {printable(text, 60)!r}; expected names of columns, such as "
            "x,y,p,t, or an event."
        )
    return names, content.find(b"\n") + 1


def _parts(text: str) -> list[str]:
    return re.split(r"[,;]", text) if re.search(r"[,;]", text) else text.split()


def _fields(where: str, names: list[str]) -> tuple[dict[str, int], TimeUnit | None]:
    """Which column is which, and the unit of time that its name says."""
    fields: dict[str, int] = {}
    unit: TimeUnit | None = None
    for i, name in enumerate(names):
        time = _TIME.fullmatch(name)
        said = (time[1] or time[2] or "") if time else None
        known = _NAMES.get(name) or ("t" if said in _UNITS else None)
        if known is None:
            continue
        if known in fields:
            raise InputError(f"{where} has two columns for {known}; keep one.")
        fields[known] = i
        if said is not None and known == "t":
            unit = _UNITS[said]
    if missing := [name for name in "xypt" if name not in fields]:
        raise InputError(
            f"{where} has the columns {', '.join(names)}; expected one each for x, y, p and t (or "
            f"t_us, t_ms, t_s): {missing[0]} is missing."
        )
    return fields, unit


def _unit(where: str, t: NDArray[np.float64]) -> TimeUnit:
    """The unit of times for which none was said."""
    if not len(t) or not np.isfinite(t).all():
        return "us"
    span = float(t.max() - t.min())
    whole = bool((t == np.rint(t)).all())
    if (span < _LEAST_TICKS) if whole else (span > _MOST_SECONDS):
        kind = "whole numbers" if whole else "numbers with fractions"
        raise InputError(
            f"{where}: its times are {kind} that span {span:,.6g}, in a unit that is not said and "
            f"cannot be told; set {option('time-unit')}."
        )
    return "us" if whole else "s"


def _no_event(where: str, content: bytes, place: int, names: list[str]) -> InputError:
    number = 1 + content.count(b"\n", 0, place)
    text = content[place : place + 200].partition(b"\n")[0].decode("utf-8", "replace").strip()
    return InputError(
        f"{where}: line {number} is {printable(text, 60)!r}; expected {len(names)} numbers, "
        f"{', '.join(names)}."
    )
