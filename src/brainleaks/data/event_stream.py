"""Recordings in Event Stream, ``.es``, version 2: changes of light of a DVS or an ATIS.

Format: https://github.com/neuromorphicsystems/event_stream
"""

import numpy as np

from brainleaks.data import _decoders
from brainleaks.data.events import Events, check_on_sensor
from brainleaks.errors import InputError

_MAGIC, _HEADER = b"Event Stream", 20
_KINDS = {0: "generic events", 3: "events of a display", 4: "events of colour"}
_DVS, _ATIS = 1, 2


def decode_es(where: str, content: bytes) -> tuple[Events, tuple[int, int]]:
    """Decode an ``.es`` file; its rows, which count from below, are counted from the top.

    Args:
        where: what to call the recording in errors.
        content: the whole file.

    Returns:
        The events, and ``(height, width)`` of the sensor.

    Raises:
        InputError: if the file is of another kind or version, is cut short, holds no changes of
            light, or an event lies off its sensor.
    """
    if not content.startswith(_MAGIC):
        raise InputError(f"{where} begins with {content[:12]!r}; expected Event Stream.")
    if len(content) < _HEADER:
        raise InputError(f"{where} is truncated: its header has {len(content)} of 20 bytes.")
    if content[12] != 2:
        version = ".".join(str(number) for number in content[12:15])
        raise InputError(f"{where}: its version is {version}; expected Event Stream 2.")
    kind = content[15]
    if kind not in (_DVS, _ATIS):
        held = _KINDS.get(kind, f"events of type {kind}")
        raise InputError(f"{where} holds {held}; expected changes of light, of a DVS or an ATIS.")
    width, height = np.frombuffer(content, "<u2", 2, 16).tolist()
    raw = np.frombuffer(content, np.uint8, offset=_HEADER)
    x, y, t, p, complete = _decoders.event_stream(raw, kind == _ATIS)
    if not complete:
        raise InputError(f"{where} is truncated: its last event is incomplete.")
    sensor = height, width
    check_on_sensor(where, Events(x, y, t, p), sensor)
    return Events(x, np.uint16(height - 1) - y if height else y, t, p), sensor
