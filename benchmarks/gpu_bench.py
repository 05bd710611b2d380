"""``make gpu``: the package on a GPU, against the notebooks' way and itself on the CPU.

The jobs are those of ``make bench``; the ways take turns on the same machine, and the
ratio is the median over pairs. Then whole studies, trained, attacked and judged at full size on the
GPU. Writes ``docs/gpu.md``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from brainleaks import FastSigmoid, exact_on_gpu, lif
from brainleaks.neuron import dynamics as neuron
from brainleaks.pipeline.provenance import machine
from jobs import BATCH, CLASSES, HIDDEN, INPUTS, NAMES, STEPS, notebooks, ours, table

#: ``(T, B, N)``: a hidden layer in training, in an attack, and of recordings.
SIZES = ((25, 100, 3000), (25, 280, 3000), (100, 100, 3000))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the package on a GPU.")
    parser.add_argument("--pairs", type=int, default=15, help="pairs for each job")
    parser.add_argument("--attack-pairs", type=int, default=1, help="pairs for each attack")
    parser.add_argument("--studies", nargs="*", default=["faces-snn-best"])
    parser.add_argument("--out", type=Path, default=Path("docs/gpu.md"))
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch finds no CUDA device.")
    exact_on_gpu()
    operator = [_operator(*size, arguments.pairs) for size in SIZES]
    pairs = {"v1": arguments.attack_pairs, "v2": arguments.attack_pairs}
    # trainings first: they warm up the notebooks' way for its attacks, which are timed once
    jobs = [_job(name, pairs.get(name, arguments.pairs)) for name in reversed(NAMES)]
    studies = [_study(preset) for preset in arguments.studies]
    _write(arguments.out, operator, jobs, [row for rows in studies for row in rows])


def _operator(steps: int, size: int, neurons: int, pairs: int) -> list[str]:
    """The neuron's recursion, forward and backward, compiled and stepped."""
    current = torch.randn(steps, size, neurons, device="cuda", requires_grad=True)
    pull = torch.randn(steps, size, neurons, device="cuda")

    def both() -> object:
        spikes, _ = lif(current, beta=0.7, surrogate=FastSigmoid(40))
        return torch.autograd.grad(spikes, current, pull)

    def stepped() -> object:
        compiled, neuron._scan_on_gpu = neuron._scan_on_gpu, lambda: None
        try:
            return both()
        finally:
            neuron._scan_on_gpu = compiled

    if neuron._scan_on_gpu() is None:
        sys.exit("Triton does not work here: the recursion would be stepped in either case.")
    slow, fast, ratio = _paired(stepped, both, pairs)
    return _said([f"{steps} x {size} x {neurons}", _ms(slow), _ms(fast), f"{ratio:.1f}x"])


def _job(name: str, pairs: int) -> list[str]:
    """A job: the notebooks' way, ours on the CPU, ours on the GPU."""
    on_gpu = ours("cuda")[name]
    slow, fast, ratio = _paired(notebooks("cuda")[name], on_gpu, pairs)
    on_cpu, _, against_cpu = _paired(ours()[name], on_gpu, pairs)
    ratios = [f"{ratio:.1f}x", f"{against_cpu:.1f}x"]
    return _said([NAMES[name], _ms(slow), _ms(on_cpu), _ms(fast), *ratios, str(pairs)])


def _paired(
    slow: Callable[[], object], fast: Callable[[], object], pairs: int
) -> tuple[float, float, float]:
    """Median seconds of both, which take turns, and the median ratio."""
    _seconds(fast)  # compiles, and fills the allocator
    times = [(_seconds(slow), _seconds(fast)) for _ in range(pairs)]
    ratio = statistics.median(a / b for a, b in times)
    return *(statistics.median(column) for column in zip(*times, strict=True)), ratio


def _seconds(job: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    job()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def _study(preset: str) -> list[list[str]]:
    """A whole study of seed 0, in a store of its own: what each stage took and reached."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "brainleaks", "run", preset, "--device", "cuda"]
        reduced = ["--set", "judging.controls=[]", "--set", "judging.reconstructions=1"]
        subprocess.run(
            [*command, *reduced, "--out", f"{folder}/run"],
            check=True,
            env={**os.environ, "BRAINLEAKS_STORE": f"{folder}/store"},
        )
        results = json.loads(Path(folder, "run", "results.json").read_text())
    return [_said(row) for row in _stages(preset, results)]


def _stages(preset: str, results: dict[str, Any]) -> list[list[str]]:
    networks = [{"name": "target"} | results["target"], *results["evaluators"]]
    stages = [(f"{net['name']}, trained", net["seconds"], net["test_accuracy"]) for net in networks]
    stages += [(a["name"], a["seconds"], a["attack_accuracy"]) for a in results["attacks"]]
    return [[preset, name, f"{took:.1f} s", f"{reached:.3f}"] for name, took, reached in stages]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _said(row: list[str]) -> list[str]:
    print(" | ".join(row), flush=True)
    return row


def _write(
    path: Path, operator: list[list[str]], jobs: list[list[str]], studies: list[list[str]]
) -> None:
    facts = machine("cuda")
    lines = [
        "# On a GPU",
        "",
        "Written by `make gpu`. Times are medians, ratios are medians of paired ratios, in one "
        "process, float32.",
        "",
        f"Machine: {facts['device']}, {facts['processor']}, {facts['threads']} threads, torch "
        f"{torch.__version__}.",
        "",
        "The neuron's recursion, forward and backward, compiled for the GPU (`_scan_triton.py`) "
        "and stepped in plain torch; the tests show that the spikes are the same, bit for bit.",
        "",
        *table(["time steps x batch x neurons", "stepped", "compiled", "ratio"], operator),
        "",
        f"A {INPUTS}-{HIDDEN}-{CLASSES} spiking network, T = {STEPS}, random weights. The "
        "notebooks' way, on the GPU as well, steps snnTorch neurons, one class and one member of "
        f"the population after the other; a training step has a batch of {BATCH}. The CPU's "
        "allocator is as it comes, without `keep_freed_memory`.",
        "",
        *table(
            [
                "",
                "notebooks' way, GPU",
                "brainleaks, CPU",
                "brainleaks, GPU",
                "against notebooks",
                "against CPU",
                "pairs",
            ],
            jobs,
        ),
        "",
        "Whole studies at full size, seed 0, `brainleaks run PRESET --device cuda`, judged "
        "without controls: what was trained and its test accuracy, what was attacked and its "
        "attack accuracy.",
        "",
        *table(["preset", "stage", "time", "accuracy"], studies),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
