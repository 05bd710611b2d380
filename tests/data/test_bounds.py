"""The compiled loops, with bounds checked, over events that lie anywhere and at any time."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brainleaks import InputError
from brainleaks.data._decoders import numbers
from brainleaks.data._ecf import ecf
from brainleaks.data.event_stream import decode_es
from brainleaks.data.events import (
    Events,
    Framing,
    checked,
    denoise,
    frames,
    read_aedat3,
    read_five_byte,
)
from brainleaks.data.prophesee import decode_dat, decode_raw
from brainleaks.data.time_repair import repair_times

CASES = int(os.environ.get("BRAINLEAKS_BOUNDS_CASES", "300"))
SENSOR = (34, 34)


def extreme(rng):
    """Events of any values that their types hold, or of such that a sensor sends."""
    n = int(rng.integers(0, 40))
    side = int(rng.choice([1, 34, 35, 256, 1 << 11, 1 << 16]))
    x, y = (rng.integers(0, side, n).astype(np.uint16) for _ in range(2))
    reach = int(rng.choice([1, 1_000, 1 << 40, 1 << 53, (1 << 63) - 1]))
    t = rng.integers(-reach if rng.random() < 0.5 else 0, reach, n)
    if rng.random() < 0.8:
        t.sort()
    return Events(x, y, t, rng.integers(0, 256, n).astype(np.uint8))


def attempt(events, framing):
    for act in (
        lambda: frames("here", events, framing, SENSOR),
        lambda: denoise(checked("here", events, (1 << 16, 1 << 16)), 3_600_000_000),
    ):
        try:
            act()
        except InputError as error:
            assert len(str(error)) < 400  # noqa: PT017


def bytes_at_random(rng):
    """Files of the two formats whose bytes our own loops decode."""
    raw = rng.integers(0, 256, int(rng.integers(0, 300)), dtype=np.uint8).tobytes()
    header = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n"
    packet = np.array([1, 0], "<i2").tobytes()
    number = len(raw) // 8
    packet += np.array([8, 4, rng.integers(-(1 << 31), 1 << 31), 0, number, 0], "<i4").tobytes()
    yield lambda: read_five_byte("here", raw[: len(raw) // 5 * 5], (256, 256))
    yield lambda: read_aedat3("here", header + packet + raw[: number * 8], (1 << 15, 1 << 15))


def camera_bytes_at_random(rng):
    """Bodies of camera files behind headers that are right, and text of what text has."""
    raw = rng.integers(0, 256, 8 * int(rng.integers(0, 60)), dtype=np.uint8).tobytes()
    for version in ("2.0", "2.1", "3.0"):
        yield lambda v=version: decode_raw("here", f"% evt {v}\n% end\n".encode() + raw)[0]
    yield lambda: decode_dat("here", b"% Version 2\n\x0c\x08" + raw)[0]
    for kind in (1, 2):
        head = b"Event Stream\x02\x00\x00" + bytes([kind, 255, 255, 255, 255])
        yield lambda h=head: decode_es("here", h + raw[: int(rng.integers(len(raw) + 1))])[0]
    text = rng.choice(list(b"0123456789.,;- \t\ne+#"), len(raw)).astype(np.uint8)
    yield lambda: numbers(text, int(rng.integers(1, 5)))
    padded = np.concatenate([rng.integers(0, 256, 12 + len(raw)), np.zeros(16)]).astype(np.uint8)
    for packing in range(3):
        yield lambda k=packing: ecf(padded, int(rng.integers(1, 200)), k)
    yield lambda: repair_times("here", extreme(rng))


def run(seed):
    rng = np.random.default_rng(seed)
    for _ in range(CASES):
        for read in camera_bytes_at_random(rng):
            with contextlib.suppress(InputError):
                read()
        polarity = ("first", "merged", "both")[int(rng.integers(3))]
        attempt(extreme(rng), Framing(int(rng.choice([1, 1_000, 3_600_000_000])), None, polarity))
        for read in bytes_at_random(rng):
            try:
                attempt(read(), Framing(1_000, 10, polarity))
            except InputError:
                continue


def test_no_loop_leaves_its_arrays(tmp_path):
    """In a process of its own, since numba decides as it compiles whether it checks bounds."""
    settings = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", "import test_bounds; test_bounds.run(0)"]
    done = subprocess.run(
        command,
        env=os.environ | settings,
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_bounds_are_checked_in_that_process(tmp_path):
    """The same settings do find a loop that leaves its array."""
    code = (
        "import numpy as np, brainleaks.data._events as e\n"
        "e.firing(np.array([9], np.uint16), np.array([9], np.uint16), np.array([0]), "
        "np.array([0], np.uint8), False, 1, 10, 1, 2, 2)"
    )
    settings = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True
    )
    assert "index is out of bounds" in done.stderr


def test_a_recording_longer_than_any_is_refused():
    x = np.zeros(2, np.uint16)
    far = Events(x, x, np.array([-(1 << 62), 1 << 62]), x.astype(np.uint8))
    with pytest.raises(InputError, match="expected at most 285 years"):
        frames("here", far, Framing(1_000), SENSOR)
    long = far._replace(t=np.array([0, 1 << 50]))
    with pytest.raises(InputError, match="BRAINLEAKS_LIMIT_RECORDING_US"):
        frames("here", long, Framing(1_000), SENSOR)
