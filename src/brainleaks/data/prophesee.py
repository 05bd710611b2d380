"""Recordings of Prophesee's cameras: ``.raw`` in EVT 2.0, 2.1 and 3.0, and ``.dat``.

The formats are those of https://docs.prophesee.ai/stable/data/encoding_formats/index.html and
https://docs.prophesee.ai/stable/data/file_formats/index.html. Times go round: after 2^24
microseconds in EVT 3.0, 2^34 in EVT 2.0 and 2.1, 2^32 in ``.dat``; each turn is counted.
"""

import re
from typing import NamedTuple

import numpy as np

from brainleaks.data import _decoders
from brainleaks.data.events import Events
from brainleaks.errors import InputError
from brainleaks.limits import check_unpacked

#: Columns and rows that the words of EVT have bits for.
LARGEST = (2_048, 2_048)
_HEADER_BYTES, _LINE_BYTES = 1 << 16, 1 << 10
_EVENT_BYTES = 13  # in memory: two bytes each for x and y, eight for the time, one for polarity
_VERSIONS = {"2": "2", "2.0": "2", "2.1": "2.1", "21": "2.1", "3": "3", "3.0": "3"}
_WORDS = {"2": "<u4", "2.1": "<u8", "3": "<u2"}
#: Types of event in .dat that are changes of light.
_CHANGES = (0x00, 0x0C)


class Header(NamedTuple):
    """The lines at the beginning of a file, by their first word, and where they end."""

    fields: dict[str, str]
    end: int

    @property
    def sensor(self) -> tuple[int, int] | None:
        """``(height, width)``, where the header says."""
        said = self.fields
        size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", said.get("geometry", ""))
        width, height = size.groups() if size else (said.get("width", ""), said.get("height", ""))
        if not (re.fullmatch(r"\d{1,5}", width) and re.fullmatch(r"\d{1,5}", height)):
            return None
        found = int(height), int(width)
        return found if min(found) > 0 else None


def decode_raw(where: str, content: bytes) -> tuple[Events, tuple[int, int] | None]:
    """Decode a ``.raw`` file.

    Events before the first word of the upper bits of time are left out: when they happened is not
    known. So are triggers and other events that are no change of light.

    Args:
        where: what to call the recording in errors.
        content: the whole file.

    Returns:
        The events, in the order of the file, and ``(height, width)`` of the sensor, where the
        header says.

    Raises:
        InputError: if there is no header, it names no version that is known, or the last word is
            incomplete.
    """
    header = read_header(where, content)
    version = _version(where, header)
    words = _words(where, content, header, version)
    if version == "2":
        return Events(*_decoders.evt2(words)), header.sensor
    count, decode = {
        "2.1": (_decoders.evt21_most, _decoders.evt21),
        "3": (_decoders.evt3_most, _decoders.evt3),
    }[version]
    most = int(count(words))
    check_unpacked(where, len(content), _EVENT_BYTES * most)
    return Events(*decode(words, most)), header.sensor


def decode_dat(where: str, content: bytes) -> tuple[Events, tuple[int, int] | None]:
    """Decode a ``.dat`` file, of version 1 or 2.

    Args:
        where: what to call the recording in errors.
        content: the whole file.

    Returns:
        As :func:`decode_raw`.

    Raises:
        InputError: if there is no header, its version is unknown, its events are no changes of
            light, or the last one is incomplete.
    """
    header = read_header(where, content)
    version = header.fields.get("version", "missing")
    if version not in ("1", "2"):
        raise InputError(f"{where}: its version is {version}; expected a .dat file of version 2.")
    kind = content[header.end : header.end + 2]
    if len(kind) < 2:
        raise InputError(f"{where} is truncated: it ends with its header.")
    if kind[0] not in _CHANGES or kind[1] != 8:
        raise InputError(
            f"{where} holds events of type {kind[0]} and {kind[1]} bytes; expected changes of "
            "light, type 12, of 8 bytes."
        )
    body = len(content) - header.end - 2
    if body % 8:
        raise InputError(
            f"{where} is truncated: {body % 8} bytes are left over; expected 8 for an event."
        )
    pairs = np.frombuffer(content, "<u4", offset=header.end + 2).reshape(-1, 2)
    time, place = pairs[:, 0].astype(np.int64), pairs[:, 1]
    time[1:] += np.cumsum(np.diff(time) < -(1 << 31)) << 32
    if version == "1":
        x, y, p = place & 0x1FF, place >> 9 & 0xFF, place >> 17 & 0xF
    else:
        x, y, p = place & 0x3FFF, place >> 14 & 0x3FFF, place >> 28
    polarity = (p > 0).astype(np.uint8)
    return Events(x.astype(np.uint16), y.astype(np.uint16), time, polarity), header.sensor


def read_header(where: str, content: bytes) -> Header:
    """The lines that begin with ``%``, which most files end with ``% end``.

    Args:
        where: what to call the recording in errors.
        content: the whole file.

    Raises:
        InputError: if there are none.
    """
    fields: dict[str, str] = {}
    place = 0
    while content[place : place + 1] == b"%" and place < _HEADER_BYTES:
        end = content.find(b"\n", place, place + _LINE_BYTES)
        line = content[place + 1 : end].strip()
        if end < 0 or not line.isascii() or not line.decode("latin-1").isprintable():
            break  # words of the recording
        place = end + 1
        name, _, value = line.decode("ascii").partition(" ")
        if name.lower() == "end":
            break
        if name.lower() == "format":
            value, *more = value.split(";")
            fields |= {k.strip().lower(): v.strip() for k, _, v in (m.partition("=") for m in more)}
        fields[name.lower()] = value.strip()
    if not fields:
        raise InputError(
            f"{where} has no header; expected lines such as % evt 3.0 and % geometry 1280x720, as "
            "Prophesee's software writes them."
        )
    return Header(fields, place)


def _version(where: str, header: Header) -> str:
    said = header.fields.get("format") or header.fields.get("evt") or "missing"
    found = _VERSIONS.get(said.upper().removeprefix("EVT").strip())
    if found is None:
        raise InputError(
            f"{where}: its event format is {said}; expected EVT2, EVT2.1 or EVT3. Record it in "
            "EVT3, or convert it to HDF5 with metavision_file_to_hdf5."
        )
    order = header.fields.get("endianness", "little")
    if order not in ("little", "legacy") or (order == "legacy" and found != "2.1"):
        raise InputError(f"{where}: its words are {order}-endian; expected little-endian.")
    return found


def _words(where: str, content: bytes, header: Header, version: str) -> np.ndarray:
    size = np.dtype(_WORDS[version]).itemsize
    left = (len(content) - header.end) % size
    if left:
        raise InputError(
            f"{where} is truncated: {left} bytes are left over; expected {size} for a word of "
            f"EVT {version}."
        )
    words = np.frombuffer(content, _WORDS[version], offset=header.end)
    if header.fields.get("endianness") == "legacy":  # IMX636 sends the upper half first
        words = words << np.uint64(32) | words >> np.uint64(32)
    return words.astype(words.dtype.newbyteorder("="), copy=False)
