"""``make simulator``: the simulated event camera against the recordings it imitates.

Records MNIST's first images with :func:`brainleaks.data.simulate.simulate`, and compares each
recording with N-MNIST's of the same image, beside what other real recordings give; then trains
networks on simulated recordings alone, and judges them on real ones. Writes ``docs/simulator.md``
and its picture. Needs MNIST and N-MNIST's first recordings (``brainleaks data fetch``).
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from brainleaks import FastSigmoid, keep_freed_memory
from brainleaks.data import mnist, nmnist_1k
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.encoding import as_images
from brainleaks.data.events import Events, Framing, frames, spike_trains
from brainleaks.data.files import data_folder
from brainleaks.data.simulate import Camera, simulate
from brainleaks.errors import InputError
from brainleaks.files import atomic
from brainleaks.networks import ConvNet, SpikingMLP
from brainleaks.pipeline.provenance import machine
from brainleaks.training import Recipe, accuracy, fit

mpl.use("Agg")
from matplotlib import pyplot as plt

SENSOR = nmnist_1k.SENSOR
#: The camera was fitted to so many of the first training recordings; they are not reported on.
FITTED = 300
FRAMING = Framing(frame_us=3000, denoise_us=40_000, polarity="first")
#: Where N-MNIST's camera rests; in between are its three strokes.
STROKES = (0, *(sum(rest) // 2 for rest in Camera().rests_us), 400_000)
ACTIVITY_US, VOLUME_US = 5_000, 10_000
LONGEST_US = 340_000
#: What the picture shows of the first stroke.
MOMENT_US = (40_000, 60_000)

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """An image, its recording in N-MNIST, and its simulated one."""

    part: str
    number: int
    label: int
    image: NDArray[np.float32]
    real: Events
    simulated: Events


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare simulated recordings with real ones.")
    parser.add_argument("--images", type=int, default=5000, help="simulated images to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    keep_freed_memory()
    digits = mnist.load(data_folder(None))
    started = time.perf_counter()
    pairs = list(_pairs(digits, arguments.seed))
    seconds = (time.perf_counter() - started) / len(pairs)
    judged = [pair for pair in pairs if pair.part == "test" or pair.number > FITTED]
    shown = [next(p for p in judged if p.label == label) for label in range(10)]
    _draw(shown, arguments.docs / "images" / "simulator.png")
    tables = [_sizes(judged), _likeness(judged, arguments.seed)]
    trained = _transfer(digits, pairs, arguments.images, arguments.seed)
    text = _page(len(judged), seconds, tables, trained, arguments)
    atomic.write_text(arguments.docs / "simulator.md", text)


def _pairs(digits: Dataset, seed: int) -> Iterator[Pair]:
    parts = {"train": digits.train, "test": digits.test}
    recordings = nmnist_1k.recordings(data_folder(None))
    rows = sorted(recordings, key=lambda r: (r.part == "test", int(r.name)))
    for part, name, label, events in tqdm(rows, desc="pairs", disable=None):
        number = int(name)
        images, labels, _ = parts[part]
        if int(labels[number - 1]) != label:
            raise InputError(
                f"N-MNIST's {part} recording {name} shows a {label}, MNIST's image {number} a "
                f"{int(labels[number - 1])}; they must be the same image."
            )
        image = images[number - 1, 0].numpy()
        yield Pair(part, number, label, image, events, _record(image, seed, part, number))


def _record(image: NDArray[np.float32], seed: int, part: str, number: int) -> Events:
    return simulate(image, np.random.default_rng((seed, part == "test", number)))


def _sizes(pairs: list[Pair]) -> list[list[str]]:
    """Events, polarity and duration: percentiles of both kinds of recordings, and their ties."""
    measures: dict[str, tuple[Callable[[Events], float], str]] = {
        "events": (lambda e: len(e.t), ".0f"),
        "share of polarity 1": (lambda e: e.p.mean(), ".3f"),
        "last event, ms": (lambda e: e.t[-1] / 1000, ".1f"),
    }
    rows = []
    for name, (measure, form) in measures.items():
        real, ours = (
            np.array([measure(e) for e in kind])
            for kind in ([p.real for p in pairs], [p.simulated for p in pairs])
        )
        cells = [
            " / ".join(format(v, form) for v in np.percentile(values, (5, 50, 95)))
            for values in (real, ours)
        ]
        rows.append([name, *cells, f"{np.corrcoef(real, ours)[0, 1]:.3f}"])
    return rows


def _likeness(pairs: list[Pair], seed: int) -> list[list[str]]:
    """Mean correlation of a real recording with its simulation, and with other real ones."""
    others = _others(pairs, np.random.default_rng(seed))
    rows = []
    for name, view in VIEWS.items():
        real = [view(pair.real) for pair in pairs]
        ours = [view(pair.simulated) for pair in pairs]
        columns = [ours, *([real[i] for i in order] for order in others)]
        rows.append([name, *(f"{_mean_correlation(real, column):.3f}" for column in columns)])
    return rows


def _others(pairs: list[Pair], generator: np.random.Generator) -> list[list[int]]:
    """For each pair, another of the same class, and one of any other class."""
    labels = np.array([pair.label for pair in pairs])
    indices = np.arange(len(labels))
    same = [generator.choice(indices[(labels == k) & (indices != i)]) for i, k in enumerate(labels)]
    different = [generator.choice(indices[labels != k]) for k in labels]
    return [same, different]


def _mean_correlation(one: list[Counts], other: list[Counts]) -> float:
    each = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True)]
    return float(np.mean(each))


def _image(events: Events) -> Counts:
    """Events at each pixel, ``(34, 34)``."""
    counts = np.zeros(SENSOR)
    np.add.at(counts, (events.y, events.x), 1)
    return counts


def _of_polarity(p: int) -> Callable[[Events], Counts]:
    return lambda events: _image(events.where(events.p == p))


def _of_stroke(start: int, stop: int) -> Callable[[Events], Counts]:
    return lambda events: _image(events.between(start, stop))


def _activity(events: Events) -> Counts:
    return np.histogram(events.t, np.arange(0, LONGEST_US + 1, ACTIVITY_US))[0].astype(float)


def _volume(events: Events) -> Counts:
    """Events at each polarity, moment and pixel."""
    counts = np.zeros((2, LONGEST_US // VOLUME_US, *SENSOR))
    np.add.at(counts, (events.p, events.t // VOLUME_US, events.y, events.x), 1)
    return counts


VIEWS: dict[str, Callable[[Events], Counts]] = {
    "events a pixel": _image,
    "of polarity 0": _of_polarity(0),
    "of polarity 1": _of_polarity(1),
    **{f"of stroke {i + 1}": _of_stroke(*STROKES[i : i + 2]) for i in range(len(STROKES) - 1)},
    f"events every {ACTIVITY_US // 1000} ms": _activity,
    f"events a pixel, polarity and {VOLUME_US // 1000} ms": _volume,
}


@dataclass(frozen=True)
class Contender:
    """A network, how it is trained, and whether it sees frames or their average over time."""

    build: Callable[[], nn.Module]
    recipe: Recipe
    spiking: bool

    def trained(self, samples: Samples, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        network = self.build()
        generator = torch.Generator().manual_seed(seed)
        fit(network, self._seen(samples), self.recipe, encode=as_images, generator=generator)
        return network

    def accuracy(self, network: nn.Module, samples: Samples) -> str:
        generator = torch.Generator()  # draws nothing: frames are spikes already
        seen = self._seen(samples)
        share = accuracy(network, seen, encode=as_images, readout="membrane", generator=generator)
        return f"{share:.3f}"

    def _seen(self, samples: Samples) -> Samples:
        return samples if self.spiking else Samples(samples.inputs.averages(), samples.labels)


SHAPE, CLASSES = (1, *SENSOR), len(nmnist_1k.CLASS_NAMES)
CONTENDERS = {
    "convolutional network on frames averaged over time": Contender(
        lambda: ConvNet(SHAPE, CLASSES),
        Recipe(learning_rate=1e-3, batch_size=50, epochs=15),
        spiking=False,
    ),
    "the protocol's spiking network on frames": Contender(
        lambda: SpikingMLP(SHAPE, CLASSES, beta=0.7, surrogate=FastSigmoid(40)),
        Recipe(learning_rate=5e-4, batch_size=100, epochs=6, gradient_clip=1.0),
        spiking=True,
    ),
}


def _transfer(digits: Dataset, pairs: list[Pair], count: int, seed: int) -> list[list[str]]:
    """Accuracies of networks trained on simulated recordings alone, or on the few real ones."""
    training = _samples(_simulated(digits, count, seed))
    real, ours = (
        _samples((pair.label, events(pair)) for pair in pairs)
        for events in (lambda pair: pair.real, lambda pair: pair.simulated)
    )
    few = _samples((pair.label, pair.real) for pair in pairs if pair.part == "train")
    held_out = _samples((pair.label, pair.real) for pair in pairs if pair.part == "test")
    rows = []
    for name, contender in CONTENDERS.items():
        network = contender.trained(training, seed)
        cells = [contender.accuracy(network, samples) for samples in (real, ours, held_out)]
        schooled = contender.trained(few, seed)
        rows.append([name, *cells, contender.accuracy(schooled, held_out)])
        print(" | ".join(rows[-1]), flush=True)
    return rows


def _simulated(digits: Dataset, count: int, seed: int) -> Iterator[tuple[int, Events]]:
    """Recordings of the training images that come after those that N-MNIST's recordings show."""
    first = nmnist_1k.SIZE[0]
    for i in tqdm(range(first, first + count), desc="to train on", disable=None):
        image = digits.train.inputs[i, 0].numpy()
        yield int(digits.train.labels[i]), _record(image, seed, "train", i + 1)


def _samples(recordings: Iterable[tuple[int, Events]]) -> Samples:
    rows = [(label, frames("a recording", e, FRAMING, SENSOR)) for label, e in recordings]
    labels = torch.tensor([label for label, _ in rows])
    return Samples(spike_trains([cut for _, cut in rows], SENSOR), labels)


def _draw(pairs: list[Pair], path: Path) -> None:
    """A column for each pair: its image, and events of the real and of the simulated recording."""
    rows: dict[str, Callable[[Pair], NDArray[np.float64]]] = {
        "MNIST": lambda pair: np.repeat(1 - np.pad(pair.image, 3)[:, :, None], 3, axis=2),
        "N-MNIST": lambda pair: _coloured(pair.real),
        "simulated": lambda pair: _coloured(pair.simulated),
        "N-MNIST\n20 ms": lambda pair: _coloured(pair.real.between(*MOMENT_US)),
        "simulated\n20 ms": lambda pair: _coloured(pair.simulated.between(*MOMENT_US)),
    }
    figure, axes = plt.subplots(len(rows), len(pairs), figsize=(len(pairs), 1.04 * len(rows)))
    for line, (name, look) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name)
        for axis, pair in zip(line, pairs, strict=True):
            axis.imshow(look(pair))
            axis.set(xticks=[], yticks=[])
    figure.tight_layout(pad=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _coloured(events: Events) -> NDArray[np.float64]:
    """White paper; events of polarity 0 colour it blue, those of polarity 1 orange, both grey."""
    darker, brighter = (_of_polarity(p)(events) for p in (0, 1))
    peak = np.percentile(darker + brighter, 99)
    channels = (2 * darker, darker + brighter, 2 * brighter)
    return np.stack([1 - channel / peak for channel in channels], axis=2).clip(0, 1)


def _page(
    judged: int,
    seconds: float,
    tables: list[list[list[str]]],
    trained: list[list[str]],
    arguments: argparse.Namespace,
) -> str:
    facts, first = machine("cpu"), nmnist_1k.SIZE[0] + 1
    sizes, likeness = tables
    real = sum(nmnist_1k.SIZE)
    lines = [
        "# The simulated event camera",
        "",
        f"Written by `make simulator`, seed {arguments.seed}. `brainleaks.data.simulate` records "
        "an image as N-MNIST was recorded: a camera moves before it along three strokes. Its "
        "settings (track, blur, contrast, thresholds and their mismatch, latency, refractory time, "
        f"noise, and how far the strokes' beginnings vary) were fitted to N-MNIST's first {FITTED} "
        "training recordings, so that counts and events a pixel, polarity and 8 ms agree. What "
        f"follows is measured on {judged} others of its first {nmnist_1k.SIZE[0]:,} training and "
        f"{nmnist_1k.SIZE[1]} test recordings, each beside a simulated recording of the same MNIST "
        "image.",
        "",
        f"Machine: {facts['processor']}, {facts['threads']} threads, torch {torch.__version__}, "
        f"{seconds * 1000:.1f} ms a recording, with reading the real one.",
        "",
        "![MNIST image, real and simulated recording](images/simulator.png)",
        "",
        "Events at each pixel, of the whole recording and of "
        f"{MOMENT_US[0] // 1000} to {MOMENT_US[1] // 1000} ms: blue where it grew darker (polarity "
        "0), orange where it grew brighter (polarity 1), grey where both.",
        "",
        "## How many events",
        "",
        "5th, 50th and 95th percentile, and the correlation of the two from image to image; how "
        "long a recording lasts is drawn, whatever the image.",
        "",
        *_table(["", "N-MNIST", "simulated", "correlation"], sizes),
        "",
        "## Where and when",
        "",
        "Pearson correlation with a real recording, mean over recordings: of the simulated one of "
        "the same image and, to tell what is good, of other real ones.",
        "",
        *_table(["", "simulated", "real, same class", "real, another class"], likeness),
        "",
        "The last row asks for the same pixel, polarity and moment. There it counts that N-MNIST's "
        "second and third strokes begin some milliseconds early or late, differently in each "
        "recording, and that a simulated recording draws its own delays.",
        "",
        "## What is learnt from simulated events holds for real ones",
        "",
        f"Networks trained on {arguments.images:,} simulated recordings alone, of MNIST's training "
        f"images {first:,} to {first + arguments.images - 1:,}, and judged on all {real:,} real "
        "recordings, whose images they have not seen; on simulated recordings of the same images; "
        f"and on the {nmnist_1k.SIZE[1]} real test recordings, beside the same network trained on "
        f"the {nmnist_1k.SIZE[0]:,} real training recordings, in as many epochs. Frames are the "
        "protocol's: "
        f"{FRAMING.frame_us:,} us, denoised, polarity 0. Shares from 0 to 1.",
        "",
        *_table(
            [
                "",
                f"{real:,} real",
                f"{real:,} simulated",
                f"{nmnist_1k.SIZE[1]} real",
                f"trained on real, {nmnist_1k.SIZE[1]} real",
            ],
            trained,
        ),
        "",
    ]
    return "\n".join(lines)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


if __name__ == "__main__":
    main()
