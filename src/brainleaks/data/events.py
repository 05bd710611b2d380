"""Events of a neuromorphic sensor: reading recordings, denoising them, cutting them into frames.

The results are those of Tonic 1.7.0's ``read_mnist_file``, ``Denoise`` and ``ToFrame``, bit for
bit, in compiled loops; recordings that are malformed are named instead of being read as something
else.
"""

import struct
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from brainleaks.data._events import connected, decoded, firing, span
from brainleaks.data.dataset import Dataset, Samples, SpikeTrains
from brainleaks.errors import InputError
from brainleaks.limits import FRAMES, RECORDING_US, SENSOR_PIXELS

#: ``y`` of the entries that carry no event but say that N-MNIST's clock overflowed ...
_OVERFLOW_Y = 240
#: ... by this many microseconds.
_OVERFLOW_STEP = 1 << 13

_HOUR_US = 3_600_000_000
#: Times beyond this (285 years) are damage, and would overflow what is computed of them.
FURTHEST_US = 1 << 53

_AEDAT_PACKET = struct.Struct("<hhiiiiii")
_AEDAT_POLARITY, _AEDAT_EVENT_BYTES = 1, 8


class Events(NamedTuple):
    """One recording, in the order of time; all arrays have one entry an event.

    ``x`` and ``y`` are uint16, from the left and from the top; ``t`` is int64, in microseconds;
    ``p`` is uint8: 1 where the light grew brighter, 0 where it grew darker.
    """

    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    t: NDArray[np.int64]
    p: NDArray[np.uint8]

    def where(self, which: NDArray[np.bool_ | np.intp] | slice) -> "Events":
        """The events that a mask, a slice or their numbers select."""
        return Events(self.x[which], self.y[which], self.t[which], self.p[which])

    def between(self, start: int, stop: int) -> "Events":
        """The events with ``start <= t < stop``."""
        first, last = np.searchsorted(self.t, (start, stop))
        return self.where(slice(first, last))


class Recording(NamedTuple):
    """One sample of an event data set; ``name`` tells it from the others of its part."""

    part: Literal["train", "test"]
    name: str
    label: int
    events: Events


class Frames(NamedTuple):
    """One recording as binary frames: the flat index of each pixel that fires, frame by frame.

    ``pixels`` has one entry for each pixel of each frame that fires; ``counts`` (int64) says how
    many of them belong to each frame.
    """

    pixels: NDArray[Any]
    counts: NDArray[np.int64]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Framing:
    """How a recording becomes binary frames (PROTOCOL, Data).

    Args:
        frame_us: length of a frame in microseconds; frames start at the first event that is left
            after denoising, and the rest after the last whole frame is dropped.
        denoise_us: an event is dropped if none of its four neighbours fired within so many
            microseconds before it; ``None`` keeps all.
        polarity: ``"first"`` keeps only events of polarity 0, those of falling light, in the
            frames; ``"merged"`` keeps all and forgets their polarity; ``"both"`` keeps all in two
            channels, that of polarity 0 first.
    """

    frame_us: Annotated[int, Ge(1), Le(_HOUR_US)]
    denoise_us: Annotated[int, Ge(1), Le(_HOUR_US)] | None = None
    polarity: Literal["first", "merged", "both"] = "merged"

    @property
    def channels(self) -> int:
        """Of a frame."""
        return 2 if self.polarity == "both" else 1


def read_five_byte(where: str, content: bytes, sensor: tuple[int, int]) -> Events:
    """Decode N-MNIST's format: ``x``, ``y``, then a bit of polarity and 23 bits of time.

    Args:
        where: what to call the recording in errors.
        content: the whole file.
        sensor: ``(height, width)``.

    Raises:
        InputError: if the recording is empty or not a multiple of 5 bytes long, if an event lies
            off the sensor, or if time runs backwards.
    """
    return checked(where, decode_five_byte(where, content), sensor)


def decode_five_byte(where: str, content: bytes) -> Events:
    """As :func:`read_five_byte`, wherever and whenever the events are."""
    if len(content) % 5:
        raise InputError(
            f"{where} is {len(content)} bytes long; expected a multiple of 5, the size of an event "
            "in N-MNIST's format. Convert other recordings to .npz with x, y, t and p."
        )
    raw = np.frombuffer(content, np.uint8).reshape(-1, 5)
    return Events(*decoded(raw, _OVERFLOW_Y, _OVERFLOW_STEP))


def read_aedat3(where: str, content: bytes, sensor: tuple[int, int]) -> Events:
    """Decode the polarity events of an AEDAT 3.1 file; other kinds of events are passed over.

    Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html

    Raises:
        InputError: as :func:`read_five_byte`, and if the file is not AEDAT 3 or is cut short.
    """
    return checked(where, decode_aedat3(where, content), sensor)


def decode_aedat3(where: str, content: bytes) -> Events:
    """As :func:`read_aedat3`, wherever and whenever the events are."""
    if not content.startswith(b"#!AER-DAT3"):
        raise InputError(
            f"{where} begins with {content[:10]!r}; expected #!AER-DAT3.1, an AEDAT 3.1 recording. "
            "Convert other versions to AEDAT 4 with DV."
        )
    position = _end_of_header(content)
    parts = []
    while position < len(content):
        packet = content[position : position + _AEDAT_PACKET.size]
        if len(packet) < _AEDAT_PACKET.size:
            raise InputError(f"{where} is truncated: the header of its last packet is incomplete.")
        kind, _, size, _, overflows, _, number, _ = _AEDAT_PACKET.unpack(packet)
        position += _AEDAT_PACKET.size
        if size < 1 or number < 0 or position + size * number > len(content):
            raise InputError(
                f"{where} is truncated or damaged: a packet declares {number} events of {size} "
                f"bytes, and {len(content) - position} bytes follow."
            )
        if kind == _AEDAT_POLARITY and size == _AEDAT_EVENT_BYTES:
            words = np.frombuffer(content, "<u4", 2 * number, position).reshape(-1, 2)
            parts.append(_polarity_events(words.astype(np.int64), overflows))
        position += size * number
    if not parts:
        raise InputError(f"{where} is empty: it holds no events.")
    fields: list[Any] = [np.concatenate(field) for field in zip(*parts, strict=True)]
    return Events(*fields)


def _end_of_header(content: bytes) -> int:
    """Where the first line that is no comment begins."""
    position = 0
    while content[position : position + 1] == b"#":
        position = content.find(b"\n", position) + 1 or len(content)
    return position


def _polarity_events(words: NDArray[np.int64], overflows: int) -> Events:
    """AEDAT's pairs of address and time; those marked invalid are dropped."""
    address, time = words[:, 0], words[:, 1] + (overflows << 31)
    valid = (address & 1).astype(bool)
    return Events(
        (address >> 17 & 0x7FFF).astype(np.uint16)[valid],
        (address >> 2 & 0x7FFF).astype(np.uint16)[valid],
        time[valid],
        (address >> 1 & 1).astype(np.uint8)[valid],
    )


def checked(where: str, events: Events, sensor: tuple[int, int], remedy: str = "") -> Events:
    """The events, if they are some, on the sensor, and in the order of time.

    Args:
        where: what to call the recording in errors.
        events: of it.
        sensor: ``(height, width)``.
        remedy: what to do if time runs backwards, as a sentence for the error.

    Raises:
        InputError: if they are not, naming the first that is wrong.
    """
    if not len(events.t):
        raise InputError(f"{where} is empty: it holds no events.")
    right, low, first, last, ordered = span(events.x, events.y, events.t)
    _check_times(where, int(first), int(last))
    height, width = sensor
    if right >= width or low >= height:
        check_on_sensor(where, events, sensor)
    if not ordered:
        i = int((events.t[1:] < events.t[:-1]).argmax())
        raise InputError(
            f"{where}: time runs backwards from {events.t[i]} to {events.t[i + 1]} microseconds at "
            f"event {i + 1}. {remedy}".rstrip()
        )
    SENSOR_PIXELS.check(where, (right + 1) * (low + 1))
    return events


def check_on_sensor(where: str, events: Events, sensor: tuple[int, int]) -> None:
    """Refuse events beyond the sensor's ``(height, width)``.

    Raises:
        InputError: naming the first of them.
    """
    height, width = sensor
    off = (events.x >= width) | (events.y >= height)
    if off.any():
        i = int(off.argmax())
        raise InputError(
            f"{where}: event {i} lies at x = {events.x[i]}, y = {events.y[i]}, off the sensor of "
            f"{width} x {height} pixels."
        )


def _check_times(where: str, first: int, last: int) -> None:
    if first < -FURTHEST_US or last > FURTHEST_US:
        raise InputError(
            f"{where}: its times range from {first} to {last} microseconds; expected at most 285 "
            "years. The file is damaged, or its times are in another unit."
        )
    RECORDING_US.check(f"{where}: from its first to its last event it", last - first)


def denoise(events: Events, filter_us: int) -> Events:
    """Drop the events none of whose four neighbours fired within ``filter_us`` before them.

    As in Tonic 1.7.0, a pixel that has not fired yet counts as having fired at time 0, and no
    pixel is looked at beyond the rightmost and the lowest that fire in the recording.

    Raises:
        InputError: if these span more pixels than the limit.
    """
    if not len(events.t):
        return events
    right, low, first, last, _ = span(events.x, events.y, events.t)
    _check_times("the recording", int(first), int(last))
    SENSOR_PIXELS.check("the recording", (right + 1) * (low + 1))
    return _connected(events, filter_us)


def _connected(events: Events, filter_us: int) -> Events:
    return events.where(connected(events.x, events.y, events.t, filter_us))


def frames(where: str, events: Events, framing: Framing, sensor: tuple[int, int]) -> Frames:
    """Cut one recording into binary frames.

    Raises:
        InputError: if an event lies off the sensor or time runs backwards, denoising leaves no
            event, or there would be more frames than the limit.
    """
    checked(where, events, sensor)
    if framing.denoise_us is not None:
        events = _connected(events, framing.denoise_us)
    if not len(events.t):
        raise InputError(
            f"{where}: denoising with {framing.denoise_us} microseconds removes every event."
        )
    height, width = sensor
    count = max(1, int(events.t[-1] - events.t[0]) // framing.frame_us)
    if count > FRAMES.value:
        raise InputError(
            f"{where}: frames.frame_us of {framing.frame_us} microseconds cuts it into {count:,} "
            f"frames; expected at most {FRAMES.value:,}. Choose longer frames."
        )
    dark_only = framing.polarity == "first"
    channels = framing.channels
    pixels, counts = firing(*events, dark_only, channels, framing.frame_us, count, height, width)
    small = channels * height * width <= 1 << 16
    return Frames(pixels.astype(np.uint16) if small else pixels, counts)


def spike_trains(
    recordings: list[Frames], sensor: tuple[int, int], channels: int = 1
) -> SpikeTrains:
    """Put recordings behind one another."""
    counts = np.concatenate([recording.counts for recording in recordings])
    lengths = [len(recording.counts) for recording in recordings]
    return SpikeTrains(
        np.concatenate([recording.pixels for recording in recordings]),
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([[0], np.cumsum(lengths)]),
        (channels, *sensor),
    )


def framed(
    name: str,
    recordings: Iterable[Recording],
    framing: Framing,
    *,
    sensor: tuple[int, int],
    class_names: tuple[str, ...],
) -> Dataset:
    """A whole event data set as binary frames, each part in the order of its recordings' names.

    One recording is held at a time; what is kept of it is two bytes a pixel that fires.

    Raises:
        InputError: naming a recording that comes twice or has no events after denoising, or a part
            without recordings.
    """
    found: dict[str, dict[str, tuple[int, Frames]]] = {"train": {}, "test": {}}
    for part, recording, label, events in recordings:
        where = f"{name}: {part} recording {recording}"
        if recording in found[part]:
            raise InputError(
                f"{where} exists twice; keep one form of the data set, such as its archives or a "
                "folder, and remove the others."
            )
        found[part][recording] = (label, frames(where, events, framing, sensor))
    parts: dict[str, Samples] = {}
    for kind, rows in found.items():
        if not rows:
            raise InputError(f"{name}: no {kind} recordings were found; fetch the data set again.")
        ordered = [rows[recording] for recording in sorted(rows)]
        labels = torch.tensor([label for label, _ in ordered])
        trains = spike_trains([cut for _, cut in ordered], sensor, framing.channels)
        parts[kind] = Samples(trains, labels)
    return Dataset(name, parts["train"], parts["test"], class_names)
