"""Recordings in HDF5 as Prophesee's software writes them, compressed by its codec ECF or not.

HDF5 is read in a child process; ECF is decoded here. Its layout is that of
https://github.com/prophesee-ai/hdf5_ecf.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainleaks.data import _ecf
from brainleaks.errors import InputError
from brainleaks.factory import require
from brainleaks.files import isolated
from brainleaks.limits import check_unpacked

#: Events that a chunk holds at most.
_CHUNK = 65_535
_EVENT_BYTES = 13


def read_hdf5(path: Path) -> tuple[dict[str, NDArray[Any]], tuple[int, int] | None]:
    """The columns x, y, t (microseconds) and p of ``CD/events``.

    Args:
        path: of the file.

    Returns:
        The columns, and ``(height, width)`` of the sensor, where the file says.

    Raises:
        InputError: if h5py is missing, or the file is damaged or of another layout.
    """
    require("h5py")
    found = isolated.call("events", path)
    size = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", found.pop("geometry") or "")
    sensor = (int(size[2]), int(size[1])) if size else None
    if "chunks" not in found:
        return found, sensor
    return _unpacked(path, found["chunks"], int(found["count"])), sensor


def _unpacked(path: Path, chunks: list[NDArray[np.uint8]], count: int) -> dict[str, NDArray[Any]]:
    headers = [int(chunk[:4].copy().view("<u4")[0]) if len(chunk) >= 12 else 0 for chunk in chunks]
    sizes = [header >> 2 for header in headers]
    if any(not 0 < size <= _CHUNK for size in sizes) or sum(sizes) < count:
        raise InputError(
            f"{path} is damaged: its {len(chunks)} chunks hold {sum(sizes):,} events; expected "
            f"{count:,}."
        )
    check_unpacked(path, path.stat().st_size, _EVENT_BYTES * sum(sizes))
    parts = []
    for chunk, header in zip(chunks, headers, strict=True):
        padded = np.concatenate([chunk, np.zeros(16, np.uint8)])  # what a group of four reads past
        *part, complete = _ecf.ecf(padded, header >> 2, header & 3)
        if not complete:
            raise InputError(f"{path} is damaged: a chunk of {header >> 2:,} events is incomplete.")
        parts.append(part)
    columns = [np.concatenate(column)[:count] for column in zip(*parts, strict=True)]
    return dict(zip("xytp", columns, strict=True))
