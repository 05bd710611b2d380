"""``make bench``: the package against the notebooks' way, side by side in one run.

A 784-3000-10 SNN, T = 25. The notebooks' way runs in a process of its own, as a notebook does, with
torch as it comes; the two take turns, and only one computes at a time. The ratio is the median
over pairs. The floor is the time of the dense matrix products alone, those that a batched
computation makes. Writes ``docs/benchmarks.md``.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from brainleaks import keep_freed_memory
from brainleaks.neuron.synapse import EVENT_DRIVEN_BELOW, event_driven_linear
from brainleaks.pipeline.provenance import machine
from camera_bench import camera_files
from conv_bench import against_frameworks
from event_bench import against_tonic, at_full_size
from image_bench import image_folders
from jobs import (
    BATCH,
    CLASSES,
    HIDDEN,
    INPUTS,
    NAMES,
    POPULATION,
    STEPS,
    notebooks,
    ours,
    table,
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare with the notebooks' way.")
    parser.add_argument("--pairs", type=int, default=3, help="pairs for each attack")
    parser.add_argument("--train-pairs", type=int, default=25, help="pairs for a training step")
    parser.add_argument("--recordings", type=int, default=30, help="pairs for the event files")
    parser.add_argument("--cameras", type=int, default=3, help="pairs for the camera files")
    parser.add_argument("--folders", type=int, default=3, help="pairs for the image folders")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"))
    arguments = parser.parse_args()
    keep_freed_memory()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_notebook, args=(there,), daemon=True
    )
    process.start()
    ways = ours()
    rows = [
        _compare(name, here, ways[name], arguments.pairs, _attack_floor(population))
        for name, population in (("v1", 1), ("v2", POPULATION))
    ]
    rows += [
        _compare(name, here, ways[name], arguments.train_pairs, _training_floor())
        for name in ("mnist", "dense")
    ]
    here.send(None)
    process.join()
    tables = {
        "rows": rows,
        "crossover": [_crossover(share) for share in (0.02, 0.05, 0.13, 0.22, 0.3)],
        "convolutions": against_frameworks(arguments.train_pairs),
        "tonic": against_tonic(arguments.recordings),
        "full_size": at_full_size(),
        "cameras": camera_files(arguments.cameras),
        "images": image_folders(arguments.folders),
    }
    _write(arguments.out, **tables)


def _notebook(pipe: Connection) -> None:
    """The other process: does what it is told, and answers with the seconds it took."""
    jobs = notebooks()
    while (name := pipe.recv()) is not None:
        pipe.send(_seconds(jobs[name]))


def _attack_floor(population: int) -> float:
    return 10 * _products(STEPS * CLASSES * population, STEPS * CLASSES)


def _training_floor() -> float:
    rows = STEPS * BATCH
    dense, gradient = torch.rand(rows, INPUTS), torch.rand(rows, HIDDEN)
    weight = torch.rand(HIDDEN, INPUTS)
    return _median(lambda: (dense @ weight.t(), gradient.t() @ dense))


def _products(forward_rows: int, backward_rows: int) -> float:
    """Seconds for one iteration's products: all members forward, their sum backward."""
    spikes, hidden = torch.rand(forward_rows, INPUTS), torch.rand(forward_rows, HIDDEN)
    first, second = torch.rand(HIDDEN, INPUTS), torch.rand(CLASSES, HIDDEN)
    output, gradient = torch.rand(forward_rows, CLASSES), torch.rand(backward_rows, HIDDEN)
    return _median(
        lambda: (spikes @ first.t(), hidden @ second.t(), output @ second, gradient @ first)
    )


def _compare(
    name: str, notebook: Connection, ours: Callable[[], object], pairs: int, floor: float
) -> list[str]:
    ours()  # compiles, and fills the allocator
    slow, fast = [], []
    for _ in range(pairs):
        notebook.send(name)
        slow.append(notebook.recv())
        fast.append(_seconds(ours))
    ratio = statistics.median(a / b for a, b in zip(slow, fast, strict=True))
    row = [
        NAMES[name],
        f"{statistics.median(slow):.3f} s",
        f"{statistics.median(fast):.3f} s",
        f"{floor:.3f} s",
        f"{ratio:.1f}x",
        str(pairs),
    ]
    print(" | ".join(row), flush=True)
    return row


def _crossover(share: float) -> list[str]:
    """Event-driven against dense, forward and weight gradient, at one share of non-zero inputs."""
    spikes = (torch.rand(STEPS * BATCH, INPUTS) < share).float()
    weight = torch.rand(HIDDEN, INPUTS, requires_grad=True)
    bias, pull = torch.rand(HIDDEN), torch.rand(len(spikes), HIDDEN)

    def both(product: Callable[..., Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(product(spikes, weight, bias), weight, pull)

    sparse, dense = _median(both(event_driven_linear)), _median(both(functional.linear))
    row = [f"{share:.2f}", f"{sparse:.3f} s", f"{dense:.3f} s", f"{dense / sparse:.1f}x"]
    print(" | ".join(row), flush=True)
    return row


def _median(job: Callable[[], object], repeats: int = 15) -> float:
    job()
    return statistics.median(_seconds(job) for _ in range(repeats))


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _write(
    path: Path,
    *,
    rows: list[list[str]],
    crossover: list[list[str]],
    convolutions: list[list[str]],
    tonic: list[list[str]],
    full_size: list[list[str]],
    cameras: list[list[str]],
    images: list[list[str]],
) -> None:
    facts = machine("cpu")
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`: a 784-3000-10 spiking network, T = 25, float32, random weights, "
        "seed 0. The notebooks' way steps snnTorch neurons in a loop, one class and one member of "
        "the population after the other, with weights that ask for gradients, in a process of its "
        "own. Times are medians, the ratio is the median of paired ratios. The floor is what dense "
        "matrix products alone take; inputs that are mostly silent, or change little from one "
        "iteration to the next, go below it, because zeros are not multiplied.",
        "",
        f"Machine: {facts['processor']}, {facts['threads']} threads, torch {torch.__version__}.",
        "",
        *table(["", "notebooks' way", "brainleaks", "dense products", "ratio", "pairs"], rows),
        "",
        "The event-driven product against the dense one, forward and weight gradient, on 2,500 "
        f"spike vectors of 784 into 3,000 units; it is used up to a share of {EVENT_DRIVEN_BELOW}.",
        "",
        *table(["share of inputs that fire", "event-driven", "dense", "ratio"], crossover),
        "",
        "## Convolutions",
        "",
        "A training step of two convolutions (12 and 24 channels, 3 x 3) on 28 x 28 inputs, batch "
        "100, T = 25, 13 % of the inputs fire: ours, snnTorch 1.0 in a loop over time, and "
        "SpikingJelly's multi-step mode without CuPy, which has none on a CPU. Each is in a "
        "process of its own, with torch's memory settings as they come. Ratios above 1 say that "
        "the other is slower.",
        "",
        *table(
            [
                "threads",
                "ours (s)",
                "snnTorch (s)",
                "SpikingJelly (s)",
                "snnTorch / ours",
                "SpikingJelly / ours",
            ],
            convolutions,
        ),
        "",
        "## Events",
        "",
        "Recordings of scikit-learn's digits before the simulated camera, about as many events as "
        "N-MNIST's, from bytes in memory to binary frames. Tonic 1.7.0 is asked for the same with "
        "`read_mnist_file`, `Denoise` and `ToFrame`; the tests show that the frames are the same, "
        "bit for bit.",
        "",
        *table(["", "Tonic", "brainleaks", "ratio", "pairs"], tonic),
        "",
        "As many such recordings as N-MNIST has, framed with its settings, written, read again and "
        "trained on, in one process:",
        "",
        *table(["", ""], full_size),
        "",
        "## Camera files",
        "",
        "From a file to its events, in seconds of the processor on one thread, and the most memory "
        "that takes, file and events included. The plain way is a loop in Python over the words (a "
        "fiftieth of them is read, and the time multiplied). faery 0.7.1 is a library of compiled "
        "decoders; its packets are put together into one array. The tests show that it reads the "
        "same events.",
        "",
        *table(
            ["", "brainleaks", "events a second", "plain way", "faery", "memory", "pairs"], cameras
        ),
        "",
        "## Image folders",
        "",
        "JPEG and other formats with complex decoders are read in a child process, which a damaged "
        "file may crash; the ratio is the time that takes over that of the same decoder in this "
        "process. PNG is read in this process either way.",
        "",
        *table(["", "this process", "as brainleaks reads", "ratio", "pairs"], images),
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
