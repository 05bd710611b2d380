"""The part of ``make bench`` on cameras: files of ten million events, on one thread.

The recording in EVT 3.0 has what a sensor sends: times, rows, single events and vectors of twelve
columns. The word-by-word way is a loop in Python, which reads a fiftieth of the words; faery is a
library of compiled decoders, where it is installed.
"""

import importlib.util
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from brainleaks.data.event_files import read_events

EVENTS, SHARE = 10_000_000, 50
HEADER = b"% evt 3.0\n% geometry 1280x720\n% end\n"


def camera_files(pairs: int) -> list[list[str]]:
    """Seconds for a file, and how many times as long the others take."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [_evt3(Path(folder) / "a.raw", pairs)]
    for row in rows:
        print(" | ".join(row), flush=True)
    return rows


def _evt3(path: Path, pairs: int) -> list[str]:
    words = sensor_words(EVENTS)
    path.write_bytes(HEADER + words.tobytes())
    few = words[: len(words) // SHARE].tolist()
    read_events(path)  # compiles
    ours = [_seconds(lambda: read_events(path)) for _ in range(pairs)]
    naive = [SHARE * _seconds(lambda: list(one_by_one(few))) for _ in range(pairs)]
    library = []
    if importlib.util.find_spec("faery") is not None:
        import faery

        def theirs() -> np.ndarray:
            return np.concatenate(list(faery.events_stream_from_file(path)))

        library = [_seconds(theirs) for _ in range(pairs)]
    return _row("EVT 3.0, 10,000,000 events", EVENTS, ours, naive, library, _memory(path))


def _row(
    name: str, events: int, ours: list[float], naive: list[float], library: list[float], memory: int
) -> list[str]:
    def ratio(others: list[float]) -> str:
        pairs = zip(others, ours, strict=True)
        return f"{statistics.median(a / b for a, b in pairs):.1f}x" if others else ""

    speed = events / statistics.median(ours) / 1e6
    return [
        name,
        f"{statistics.median(ours):.2f} s",
        f"{speed:.0f} million",
        ratio(naive),
        ratio(library),
        f"{memory} MB",
        str(len(ours)),
    ]


def _memory(path: Path) -> int:
    """Megabytes that reading takes at most, the events included, in a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_measure, args=(there, path))
    process.start()
    taken: int = here.recv()
    process.join()
    return taken


def _measure(pipe: object, path: Path) -> None:
    small = path.with_suffix(".small" + path.suffix)
    small.write_bytes(path.read_bytes()[: len(HEADER) + 1_000])
    read_events(small)  # loads what is compiled
    before = _most_memory()
    read_events(path)
    pipe.send(_most_memory() - before >> 10)


def _most_memory() -> int:
    """Kilobytes that this process had at most; what getrusage says includes its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def sensor_words(events: int) -> np.ndarray:
    """Groups of four events, in one vector or one by one, each group in a row of its own."""
    rng = np.random.default_rng(0)
    groups = events // 4
    times = np.cumsum(rng.integers(0, 3, groups))
    vector = rng.random(groups) < 0.5
    words, sent = np.zeros((groups, 7), np.uint16), np.ones((groups, 7), bool)
    words[:, 0] = 8 << 12 | times >> 12 & 4095
    sent[:, 0] = np.diff(times >> 12, prepend=-1) > 0
    words[:, 1] = 6 << 12 | times & 4095
    sent[:, 1] = np.diff(times, prepend=-1) > 0
    words[:, 2] = rng.integers(0, 720, groups)
    polarity = rng.integers(0, 2, (groups, 4)) << 11
    words[:, 3:] = 2 << 12 | polarity | rng.integers(0, 1280, (groups, 4))
    words[vector, 3] = (3 << 12 | polarity[:, 0] | rng.integers(0, 1200, groups))[vector]
    four = np.bitwise_or.reduce(1 << 3 * np.arange(4) + rng.integers(0, 3, (groups, 4)), axis=1)
    words[vector, 4] = (4 << 12 | four)[vector]
    sent[vector, 5:] = False
    return words[sent]


def one_by_one(words: list[int]) -> Iterator[tuple[int, int, int, int]]:
    """EVT 3.0 as one would write it down from its description."""
    high = low = turns = row = column = polarity = 0
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        now = turns << 24 | high << 12 | low
        if kind == 0:
            row = value & 0x7FF
        elif kind == 2:
            yield value & 0x7FF, row, now, value >> 11
        elif kind == 3:
            column, polarity = value & 0x7FF, value >> 11
        elif kind == 4:
            for place in range(12):
                if value >> place & 1:
                    yield column + place, row, now, polarity
            column += 12
        elif kind == 6:
            low = value
        elif kind == 8:
            turns += high - value >= 2048
            high, low = value, 0


def _seconds(job: Callable[[], object]) -> float:
    """Of the processor: all ways use one thread."""
    start = time.process_time()
    job()
    return time.process_time() - start
