"""``make bench``: the package against the notebooks' way, side by side in one run.

A 784-3000-10 SNN, T = 25. Each pair runs the notebooks' way and ours one after the other; the
ratio is the median over pairs. The floor is the time of the dense matrix products alone, those
that the batched computation cannot do without. Writes ``docs/benchmarks.md``.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from brainleaks import BrainLeaksV1, BrainLeaksV2, FastSigmoid, Target, keep_freed_memory
from brainleaks.networks import SpikingMLP
from brainleaks.study.provenance import machine
from brainleaks.training import summed_cross_entropy
from notebook_way import NotebookSNN, brainleaks_v1, brainleaks_v2, train_step

STEPS, INPUTS, HIDDEN, CLASSES, BATCH = 25, 784, 3000, 10, 100
#: Mean pixel of MNIST's training images: the share of spikes in its rate code.
MNIST_RATE = 0.1307


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=3, help="pairs for the attacks")
    parser.add_argument("--train-pairs", type=int, default=15, help="pairs for a training step")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"))
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(0)
    naive = NotebookSNN(INPUTS, HIDDEN, CLASSES)
    ours = SpikingMLP((1, 28, 28), CLASSES, beta=0.7, surrogate=FastSigmoid(40))
    ours.load_state_dict({k: v for k, v in naive.state_dict().items() if k.startswith("fc")})
    rows = [
        _attack("BrainLeaks-v1, 10 classes, 10 iterations", naive, ours, 1, arguments.pairs),
        _attack(
            "BrainLeaks-v2, 10 classes, 10 iterations, population 7",
            naive,
            ours,
            7,
            arguments.pairs,
        ),
        _training(
            "training step, batch 100, inputs as sparse as MNIST",
            naive,
            ours,
            MNIST_RATE,
            arguments.train_pairs,
        ),
        _training(
            "training step, batch 100, every second input fires",
            naive,
            ours,
            0.5,
            arguments.train_pairs,
        ),
    ]
    _write(rows, arguments.out)


def _attack(
    name: str, naive: NotebookSNN, ours: SpikingMLP, population: int, pairs: int
) -> list[str]:
    target = Target(ours, input_shape=(1, 28, 28), classes=CLASSES)
    labels, shape = torch.arange(CLASSES), (STEPS, 1, INPUTS)
    generator = torch.Generator().manual_seed(0)
    attack = BrainLeaksV1() if population == 1 else BrainLeaksV2(population=population)

    def notebooks() -> None:
        for label in range(CLASSES):
            if population == 1:
                brainleaks_v1(
                    naive, label, lambda *_: torch.rand(shape), iterations=10, shape=shape
                )
            else:
                brainleaks_v2(
                    naive,
                    label,
                    lambda *_: torch.rand(population, *shape),
                    iterations=10,
                    shape=shape,
                    population=population,
                )

    floor = 10 * _products(STEPS * CLASSES * population, STEPS * CLASSES)
    return _compare(
        name, notebooks, lambda: attack(target, labels, generator=generator), pairs, floor
    )


def _training(
    name: str, naive: NotebookSNN, ours: SpikingMLP, rate: float, pairs: int
) -> list[str]:
    x = (torch.rand(STEPS, BATCH, INPUTS) < rate).float()
    labels = torch.randint(CLASSES, (BATCH,))
    images = x.unflatten(2, (1, 28, 28))
    naive_adam = torch.optim.Adam(naive.parameters(), 5e-5)
    adam = torch.optim.Adam(ours.parameters(), 5e-5, fused=True)

    def step() -> None:
        adam.zero_grad()
        summed_cross_entropy(ours(images), labels).backward()
        nn.utils.clip_grad_norm_(ours.parameters(), 1.0)
        adam.step()

    rows = STEPS * BATCH
    dense, gradient = torch.rand(rows, INPUTS), torch.rand(rows, HIDDEN)
    weight = torch.rand(HIDDEN, INPUTS)
    floor = _median(lambda: (dense @ weight.t(), gradient.t() @ dense))
    return _compare(name, lambda: train_step(naive, naive_adam, x, labels), step, pairs, floor)


def _products(forward_rows: int, backward_rows: int) -> float:
    """Seconds for one iteration's products: all members forward, their sum backward."""
    spikes, hidden = torch.rand(forward_rows, INPUTS), torch.rand(forward_rows, HIDDEN)
    first, second = torch.rand(HIDDEN, INPUTS), torch.rand(CLASSES, HIDDEN)
    output, gradient = torch.rand(forward_rows, CLASSES), torch.rand(backward_rows, HIDDEN)
    return _median(
        lambda: (spikes @ first.t(), hidden @ second.t(), output @ second, gradient @ first)
    )


def _compare(
    name: str, naive: Callable[[], object], ours: Callable[[], object], pairs: int, floor: float
) -> list[str]:
    ours()  # compiles, and fills the allocator
    slow, fast = [], []
    for _ in range(pairs):
        slow.append(_seconds(naive))
        fast.append(_seconds(ours))
    ratio = statistics.median(a / b for a, b in zip(slow, fast, strict=True))
    row = [
        name,
        f"{statistics.median(slow):.3f} s",
        f"{statistics.median(fast):.3f} s",
        f"{floor:.3f} s",
        f"{ratio:.1f}x",
        str(pairs),
    ]
    print(" | ".join(row), flush=True)
    return row


def _median(job: Callable[[], object], repeats: int = 15) -> float:
    job()
    return statistics.median(_seconds(job) for _ in range(repeats))


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _write(rows: list[list[str]], path: Path) -> None:
    facts = machine("cpu")
    header = ["", "notebooks' way", "brainleaks", "dense products alone", "ratio", "pairs"]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`: a 784-3000-10 spiking network, T = 25, float32, random weights, "
        "seed 0. The notebooks' way steps snnTorch neurons in a loop, one class and one member of "
        "the population after the other, with weights that ask for gradients. Times are medians, "
        "the ratio is the median of paired ratios. The floor is what dense matrix products alone "
        "take; mostly silent inputs go below it, because their zeros are not multiplied.",
        "",
        f"Machine: {facts['processor']}, {facts['threads']} threads, torch {torch.__version__}.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
