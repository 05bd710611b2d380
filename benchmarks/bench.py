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
from torch import Tensor, nn
from torch.nn import functional

from brainleaks import BrainLeaksV1, BrainLeaksV2, FastSigmoid, Target, keep_freed_memory
from brainleaks.networks import SpikingMLP
from brainleaks.study.provenance import machine
from brainleaks.synapse import EVENT_DRIVEN_BELOW, event_driven_linear
from brainleaks.training import summed_cross_entropy
from event_bench import against_tonic, at_full_size
from notebook_way import NotebookSNN, brainleaks_v1, brainleaks_v2, train_step

STEPS, INPUTS, HIDDEN, CLASSES, BATCH, POPULATION = 25, 784, 3000, 10, 100, 7
#: Mean pixel of MNIST's training images: the share of spikes in its rate code.
MNIST_RATE = 0.1307


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare with the notebooks' way.")
    parser.add_argument("--pairs", type=int, default=3, help="pairs for each attack")
    parser.add_argument("--train-pairs", type=int, default=25, help="pairs for a training step")
    parser.add_argument("--recordings", type=int, default=30, help="pairs for the event files")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"))
    arguments = parser.parse_args()
    keep_freed_memory()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_notebook, args=(there,), daemon=True
    )
    process.start()
    torch.manual_seed(0)
    network = SpikingMLP((1, 28, 28), CLASSES, beta=0.7, surrogate=FastSigmoid(40))
    rows = [
        _attack("v1", BrainLeaksV1(), 1, network, here, arguments.pairs),
        _attack(
            "v2", BrainLeaksV2(population=POPULATION), POPULATION, network, here, arguments.pairs
        ),
        _training("mnist", MNIST_RATE, network, here, arguments.train_pairs),
        _training("dense", 0.5, network, here, arguments.train_pairs),
    ]
    here.send(None)
    process.join()
    tables = {
        "rows": rows,
        "crossover": [_crossover(share) for share in (0.02, 0.05, 0.13, 0.22, 0.3)],
        "tonic": against_tonic(arguments.recordings),
        "full_size": at_full_size(),
    }
    _write(arguments.out, **tables)


NAMES = {
    "v1": "BrainLeaks-v1, 10 classes, 10 iterations",
    "v2": "BrainLeaks-v2, 10 classes, 10 iterations, population 7",
    "mnist": "training step, batch 100, inputs as sparse as MNIST's",
    "dense": "training step, batch 100, every second input fires",
}


def _notebook(pipe: Connection) -> None:
    """The other process: does what it is told, and answers with the seconds it took."""
    torch.manual_seed(0)
    network = NotebookSNN(INPUTS, HIDDEN, CLASSES)
    adam = torch.optim.Adam(network.parameters(), 5e-5)
    shape = (STEPS, 1, INPUTS)
    batches = {"mnist": _batch(MNIST_RATE), "dense": _batch(0.5)}

    def v1() -> None:
        for label in range(CLASSES):
            brainleaks_v1(network, label, lambda *_: torch.rand(shape), iterations=10, shape=shape)

    def v2() -> None:
        for label in range(CLASSES):
            brainleaks_v2(
                network,
                label,
                lambda *_: torch.rand(POPULATION, *shape),
                iterations=10,
                shape=shape,
                population=POPULATION,
            )

    jobs = {"v1": v1, "v2": v2}
    for name, batch in batches.items():
        jobs[name] = lambda batch=batch: train_step(network, adam, *batch)
    while (name := pipe.recv()) is not None:
        pipe.send(_seconds(jobs[name]))


def _attack(
    name: str,
    attack: BrainLeaksV1 | BrainLeaksV2,
    population: int,
    network: SpikingMLP,
    notebook: Connection,
    pairs: int,
) -> list[str]:
    target = Target(network, input_shape=(1, 28, 28), classes=CLASSES)
    labels, generator = torch.arange(CLASSES), torch.Generator().manual_seed(0)
    floor = 10 * _products(STEPS * CLASSES * population, STEPS * CLASSES)
    return _compare(
        name, notebook, lambda: attack(target, labels, generator=generator), pairs, floor
    )


def _training(
    name: str, rate: float, network: SpikingMLP, notebook: Connection, pairs: int
) -> list[str]:
    spikes, labels = _batch(rate)
    images = spikes.unflatten(2, (1, 28, 28))
    adam = torch.optim.Adam(network.parameters(), 5e-5, fused=True)

    def step() -> None:
        adam.zero_grad()
        summed_cross_entropy(network(images), labels).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()

    rows = STEPS * BATCH
    dense, gradient = torch.rand(rows, INPUTS), torch.rand(rows, HIDDEN)
    weight = torch.rand(HIDDEN, INPUTS)
    floor = _median(lambda: (dense @ weight.t(), gradient.t() @ dense))
    return _compare(name, notebook, step, pairs, floor)


def _batch(rate: float) -> tuple[Tensor, Tensor]:
    spikes = (torch.rand(STEPS, BATCH, INPUTS) < rate).float()
    return spikes, torch.randint(CLASSES, (BATCH,))


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
    tonic: list[list[str]],
    full_size: list[list[str]],
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
        *_table(["", "notebooks' way", "brainleaks", "dense products", "ratio", "pairs"], rows),
        "",
        "The event-driven product against the dense one, forward and weight gradient, on 2,500 "
        f"spike vectors of 784 into 3,000 units; it is used up to a share of {EVENT_DRIVEN_BELOW}.",
        "",
        *_table(["share of inputs that fire", "event-driven", "dense", "ratio"], crossover),
        "",
        "## Events",
        "",
        "Recordings of scikit-learn's digits before the simulated camera, about as many events as "
        "N-MNIST's, from bytes in memory to binary frames. Tonic 1.7.0 is asked for the same with "
        "`read_mnist_file`, `Denoise` and `ToFrame`; the tests show that the frames are the same, "
        "bit for bit.",
        "",
        *_table(["", "Tonic", "brainleaks", "ratio", "pairs"], tonic),
        "",
        "As many such recordings as N-MNIST has, framed with its settings, written, read again and "
        "trained on, in one process:",
        "",
        *_table(["", ""], full_size),
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


if __name__ == "__main__":
    main()
