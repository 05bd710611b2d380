"""The part of ``make bench`` on events: preprocessing against Tonic's, and N-MNIST at full size.

The recordings are simulated ones of scikit-learn's digits, which have as many events as N-MNIST's,
so that the benchmark needs no data.
"""

import io
import itertools
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tonic.functional import denoise_numpy, to_frame_numpy
from tonic.io import read_mnist_file

from brainleaks import FastSigmoid, keep_freed_memory
from brainleaks.data import digits_events, events
from brainleaks.data.encoding import as_images
from brainleaks.data.events import Events, Framing, Recording
from brainleaks.files import atomic
from brainleaks.monitor import Monitor
from brainleaks.networks import SpikingMLP
from brainleaks.pipeline import loading
from brainleaks.training import Recipe, fit

SENSOR = digits_events.SENSOR
TRAIN, TEST, BATCH, STEPS = 60_000, 10_000, 100, 20
SETTINGS = {
    "N-MNIST's settings": Framing(frame_us=3_000, denoise_us=40_000, polarity="first"),
    "DVS128's settings": Framing(frame_us=50_000, denoise_us=100_000, polarity="merged"),
}
_TONIC = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


def against_tonic(pairs: int) -> list[list[str]]:
    """Reading, denoising and framing: ours against Tonic's, one recording a pair."""
    contents = [
        _encoded(r.events) for r in itertools.islice(digits_events.recordings(Path()), pairs)
    ]
    rows = []
    for name, framing in SETTINGS.items():
        _ours(contents[0], framing)  # compiles
        slow = [_seconds(lambda c=c, f=framing: _tonics(c, f)) for c in contents]
        fast = [_seconds(lambda c=c, f=framing: _ours(c, f)) for c in contents]
        ratio = statistics.median(a / b for a, b in zip(slow, fast, strict=True))
        row = [
            f"read, denoise and frame a recording, {name}",
            f"{1000 * statistics.median(slow):.1f} ms",
            f"{1000 * statistics.median(fast):.2f} ms",
            f"{ratio:.0f}x",
            str(pairs),
        ]
        print(" | ".join(row), flush=True)
        rows.append(row)
    return rows


def at_full_size() -> list[list[str]]:
    """As many recordings as N-MNIST has, in a process of its own: time, disk and memory."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_full_size, args=(there,))
    process.start()
    rows: list[list[str]] = here.recv()
    process.join()
    for row in rows:
        print(" | ".join(row), flush=True)
    return rows


def _full_size(pipe: object) -> None:
    keep_freed_memory()
    framing = SETTINGS["N-MNIST's settings"]
    started = time.perf_counter()
    dataset = events.framed(
        "full", _repeated(), framing, sensor=SENSOR, class_names=digits_events.CLASS_NAMES
    )
    framed = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.safetensors"
        atomic.write_tensors(path, loading.pack(dataset))
        del dataset
        size = path.stat().st_size
        samples = loading.unpack(atomic.read_tensors(path), "train", (1, *SENSOR))
    which = torch.randint(len(samples.labels), (STEPS, BATCH))
    batch = statistics.median(_seconds(lambda w=w: samples.inputs[w]) for w in which)
    network = SpikingMLP((1, *SENSOR), 10, beta=0.7, surrogate=FastSigmoid(40))
    watch = _Watch()
    recipe = Recipe(learning_rate=2e-4, batch_size=BATCH, epochs=1, gradient_clip=1.0)
    some = samples.first(STEPS * BATCH)
    generator = torch.Generator().manual_seed(0)
    fit(network, some, recipe, encode=as_images, generator=generator, monitor=watch)
    step = watch.seconds / STEPS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pipe.send(
        [
            [f"frame {TRAIN + TEST:,} recordings", f"{framed:.0f} s"],
            ["their size on disk", f"{size / 2**30:.2f} GiB"],
            [f"make a batch of {BATCH}", f"{1000 * batch:.0f} ms"],
            ["a training step on it, the batch included", f"{1000 * step:.0f} ms"],
            ["most memory in use, from framing to training", f"{peak:.2f} GiB"],
        ]
    )


class _Watch(Monitor):
    """Times an epoch."""

    def remaining(self, iterations: int) -> Iterator[int]:
        started = time.perf_counter()
        yield from range(iterations)
        self.seconds = time.perf_counter() - started


def _repeated() -> Iterator[Recording]:
    some = list(itertools.islice(digits_events.recordings(Path()), 300))
    for i, recording in zip(range(TRAIN + TEST), itertools.cycle(some)):
        part = "train" if i < TRAIN else "test"
        yield recording._replace(part=part, name=f"{i:05d}")


def _ours(content: bytes, framing: Framing) -> events.Frames:
    return events.frames("r", events.read_five_byte("r", content, SENSOR), framing, SENSOR)


def _tonics(content: bytes, framing: Framing) -> np.ndarray:
    array = read_mnist_file(io.BytesIO(content), _TONIC, is_stream=True)
    if framing.polarity == "merged":
        array["p"] = 0
    array = denoise_numpy(array, framing.denoise_us)
    channels = 2 if framing.polarity == "first" else 1
    frames = to_frame_numpy(array, (*SENSOR[::-1], channels), time_window=framing.frame_us)
    return frames[:, 0].clip(max=1)


def _encoded(recording: Events) -> bytes:
    """N-MNIST's five bytes an event."""
    x, y, t, p = (np.asarray(field, dtype=np.int64) for field in recording)
    rows = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], 1)
    return rows.astype(np.uint8).tobytes()


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start
