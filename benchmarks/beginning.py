"""``make beginning``: how often a network's initial weights are recovered from its trained ones.

Trains networks of several frameworks from random 32-bit seeds, recovers each from its state dict
alone, and compares what comes back with the weights that were there before training. Counts the
inputs of each data set that never fire. Writes ``docs/beginning.md``, anew after each network; what
is in ``runs/beginning`` is not done again. Needs MNIST and N-MNIST's first recordings.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from brainleaks import FastSigmoid, keep_freed_memory
from brainleaks.attacks.beginning import recover_initial_weights
from brainleaks.attacks.beginning.draws import unchanged
from brainleaks.attacks.beginning.seeds import matching_seeds
from brainleaks.data.dataset import Dataset, Samples, SpikeTrains
from brainleaks.data.encoding import bernoulli
from brainleaks.data.files import data_folder
from brainleaks.errors import InputError
from brainleaks.files import atomic
from brainleaks.networks import SpikingMLP
from brainleaks.pipeline.cache import Cache
from brainleaks.pipeline.loading import load_dataset
from brainleaks.pipeline.provenance import machine
from brainleaks.studies.reading import load_study

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

WORK = Path("runs/beginning")
STEPS, BATCH, HIDDEN = 5, 200, 100
#: The presets whose training data are searched for inputs that never fire.
SEARCHED = (
    "mnist-snn",
    "nmnist-1k-snn",
    "faces-snn",
    "fsdd-snn",
    "cifar10-snn",
    "dvsgesture-clips",
)
Build = Callable[[tuple[int, ...]], nn.Module]


@dataclass(frozen=True)
class Cell:
    """A kind of network, its data, and how it is trained.

    ``rare`` kinds are recovered by comparing all seeds, which takes minutes: a quarter as many.
    """

    said: str
    preset: str
    build: Build
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.Adam
    epochs: int = 1
    split: bool = True
    rare: bool = False


def _example(framework: str, architecture: str) -> Build:
    def build(shape: tuple[int, ...]) -> nn.Module:
        module = import_module(f"{framework}_net")
        module.HIDDEN = HIDDEN
        return getattr(module, architecture)(shape, 10)

    return build


def _own(shape: tuple[int, ...]) -> nn.Module:
    return SpikingMLP(shape, 10, hidden=HIDDEN, beta=0.9, surrogate=FastSigmoid(25))


CELLS = {
    "snntorch": Cell("snnTorch, fully connected", "mnist-snn", _example("snntorch", "fc")),
    "spikingjelly": Cell(
        "SpikingJelly, fully connected", "mnist-snn", _example("spikingjelly", "fc")
    ),
    "norse": Cell("Norse, fully connected", "mnist-snn", _example("norse", "fc")),
    "brainleaks": Cell("this package's SpikingMLP", "mnist-snn", _own),
    "nmnist": Cell("this package's SpikingMLP", "nmnist-1k-snn", _own, epochs=5),
    "adamw": Cell(
        "snnTorch, fully connected, AdamW (weight decay 0.01)",
        "mnist-snn",
        _example("snntorch", "fc"),
        torch.optim.AdamW,
        split=False,
        rare=True,
    ),
    "conv": Cell(
        "snnTorch, convolutions", "mnist-snn", _example("snntorch", "conv"), split=False, rare=True
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Recover initial weights and count successes.")
    parser.add_argument("--networks", type=int, default=20, help="besides the rare kinds")
    parser.add_argument("--seed", type=int, default=0, help="of the networks' seeds")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    keep_freed_memory()
    folder = WORK / f"seed{arguments.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    data: dict[str, Dataset] = {}
    silent = _once(folder / "silent.json", _silent_inputs)
    exhaustive = _once(folder / "exhaustive.json", lambda: _exhaustive(data))
    rows: list[dict[str, Any]] = []
    for name, number in _planned(arguments.networks):
        path = folder / f"{name}-{number}.json"
        row = _once(path, lambda n=name, k=number: _trial(n, k, arguments.seed, data))
        rows.append({"kind": name, **row})
        page = _page(rows, silent, exhaustive, arguments)
        atomic.write_text(arguments.docs / "beginning.md", page)
        print(name, number, row, flush=True)


def _planned(networks: int) -> list[tuple[str, int]]:
    """Which networks are trained: one of each kind in turn, and the rare ones last."""
    common, rare = ([n for n, cell in CELLS.items() if cell.rare is r] for r in (False, True))
    share = -(-networks // len(common))
    return [
        *((name, number) for number in range(share) for name in common),
        *((name, number) for number in range(-(-share // 4)) for name in rare),
    ]


def _once(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if not path.exists():
        atomic.write_json(path, make())
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _load(preset: str, data: dict[str, Dataset]) -> Dataset:
    if preset not in data:
        study = load_study(preset)
        data[preset] = load_dataset(study, data_folder(None), Cache())
    return data[preset]


def _trial(name: str, number: int, seed: int, data: dict[str, Dataset]) -> dict[str, Any]:
    """Train a network and recover its beginning."""
    cell = CELLS[name]
    dataset = _load(cell.preset, data)
    generator = np.random.default_rng((seed, list(CELLS).index(name), number))
    drawn_from = int(generator.integers(2**32))
    split = cell.split and number % 2 == 1
    torch.manual_seed(drawn_from)
    if split:  # as torch.utils.data.random_split draws before the network
        torch.randperm(len(dataset.train.labels))
    network = cell.build(dataset.input_shape)
    initial = {k: v.detach().clone() for k, v in network.state_dict().items()}
    _train(network, dataset.train, cell)
    started = time.perf_counter()
    found = recover_initial_weights(network.state_dict())
    seconds = time.perf_counter() - started
    right = [torch.equal(initial[k], v) for k, v in found.initial.items()]
    learned = [k for k, v in network.named_parameters() if not torch.equal(initial[k], v)]
    return {
        "seconds": seconds,
        "seed": found.seed == drawn_from,
        "recovered": bool(right) and all(right) and set(learned) <= set(found.initial),
        "split": split,
        "method": found.method,
        "inputs": max((drawn.inputs for drawn in found.untouched.values()), default=0),
        "correlation": [round(d.correlation, 3) for d in found.redrawn.values()],
        "why": found.why,
    }


def _train(network: nn.Module, samples: Samples, cell: Cell) -> None:
    """Adam on the cross-entropy of the answers summed over time."""
    optimiser = cell.optimiser(network.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(cell.epochs):
        for batch in torch.randperm(len(samples.labels)).split(BATCH):
            inputs = samples.inputs[batch]
            if not isinstance(samples.inputs, SpikeTrains):
                inputs = bernoulli(inputs.expand(STEPS, *inputs.shape), generator)
            loss = nn.functional.cross_entropy(_answers(network, inputs), samples.labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def _answers(network: nn.Module, spikes: Tensor) -> Tensor:
    """``(B, classes)``, whatever form the framework answers in."""
    if isinstance(network, nn.Sequential):  # one step a call
        from snntorch import utils

        utils.reset(network)
        return torch.stack([network(step)[1] for step in spikes]).sum(0)
    if type(network).__module__.startswith("spikingjelly"):
        from spikingjelly.activation_based import functional

        functional.reset_net(network)
    answer = network(spikes)
    if isinstance(network, SpikingMLP):
        answer = answer.membrane
    elif isinstance(answer, tuple):
        answer = answer[1]
    return answer.sum(0) if answer.ndim == 3 else answer


def _exhaustive(data: dict[str, Dataset]) -> dict[str, Any]:
    """How long it takes to try all 2^32 seeds, on a network whose seed is the last."""
    torch.manual_seed(2**32 - 1)
    network = _own((1, 28, 28))
    _train(network, _load("mnist-snn", data).train.first(2000), CELLS["brainleaks"])
    drawn = unchanged(network.fc1.weight.detach().numpy())
    if drawn is None:
        raise InputError("no input of MNIST's first 2,000 images is silent.")
    started = time.perf_counter()
    found = list(matching_seeds(drawn.positions, drawn.bits, drawn.certain))
    return {"seconds": time.perf_counter() - started, "right": found == [2**32 - 1]}


def _silent_inputs() -> dict[str, Any]:
    """For each data set, how many inputs are 0 in all training samples, of how many."""
    found = {}
    for preset in SEARCHED:
        dataset = _load(preset, {})
        inputs = dataset.train.inputs
        size = int(np.prod(dataset.input_shape))
        if isinstance(inputs, SpikeTrains):
            silent = size - len(np.unique(inputs.pixels))
        else:
            fires = (inputs != 0).any(0)
            if dataset.streamed:  # a network takes one row, a time step, at a time
                fires = fires.any(1)
            silent, size = int((~fires).sum()), fires.numel()
        count = len(dataset.train.labels)
        found[preset] = {"data": dataset.name, "samples": count, "silent": silent, "size": size}
    return found


def _page(
    rows: list[dict[str, Any]],
    silent: dict[str, Any],
    exhaustive: dict[str, Any],
    arguments: argparse.Namespace,
) -> str:
    facts = machine("cpu")
    common = [row for row in rows if not CELLS[row["kind"]].rare]
    lines = [
        "# Initial weights from trained ones",
        "",
        "An input that never fires has no gradient, and without weight decay its weights in the "
        "first layer stay as torch drew them. `brainleaks beginning` solves these draws for the "
        "state of the generator, and draws all layers again. [What it can and cannot do]"
        "(attacks/beginning.md).",
        "",
        f"Written by `make beginning`, seed {arguments.seed}. Machine: {facts['processor']}, "
        f"{os.cpu_count()} cores, shared with other jobs; torch {torch.__version__}. Networks are "
        "drawn from random 32-bit seeds that the attack does not know; every second of those in "
        "the first five rows after a random permutation of the training set, as a random split "
        f"draws it. Hidden layers have {HIDDEN} units; Adam "
        "(learning rate 0.001) trains them on the whole training set, for one epoch of MNIST or "
        "five of N-MNIST's first 1,000 recordings. They are attacked by their state dicts alone. "
        "*Recovered*: all tensors that training changed came back as they were before it, to the "
        "bit.",
        "",
        f"{_rate(common)} of the networks that were trained without weight decay and are fully "
        f"connected, each in {max(row['seconds'] for row in common):.0f} seconds or less.",
        "",
        "| network | data | recovered | inputs as drawn | seconds, median and most |",
        "|---|---|---|---|---|",
        *(_row(name, [r for r in rows if r["kind"] == name]) for name in CELLS),
        "",
        "Where no weight is as it was drawn (AdamW, convolutions), the first draws of all seeds "
        "are compared with the first layer; this finds networks that were drawn first.",
        "",
        f"Trying all 4,294,967,296 seeds against draws that are known takes "
        f"{exhaustive['seconds']:.0f} seconds on this machine "
        f"({2**32 / exhaustive['seconds'] / 1e6:.0f} million seeds a second)"
        f"{'' if exhaustive['right'] else ', and did not find the right one'}.",
        "",
        "## Inputs that never fire",
        "",
        "In all training samples, as the presets read them; of recordings of sound, channels.",
        "",
        "| data | training samples | inputs | never fire |",
        "|---|---|---|---|",
        *(
            f"| {found['data']} ({preset}) | {found['samples']:,} | {found['size']:,} | "
            f"{found['silent']:,} |"
            for preset, found in silent.items()
        ),
        "",
    ]
    return "\n".join(lines)


def _rate(rows: list[dict[str, Any]]) -> str:
    right = sum(row["recovered"] for row in rows)
    low, high = binomtest(right, len(rows)).proportion_ci(method="exact")
    return f"{right} of {len(rows)} (95 % interval {low:.2f} to {high:.2f})"


def _row(name: str, rows: list[dict[str, Any]]) -> str:
    cell = CELLS[name]
    data = load_study(cell.preset).dataset
    if not rows:
        return f"| {cell.said} | {data} | not run | | |"
    inputs = [row["inputs"] for row in rows]
    seconds = [row["seconds"] for row in rows]
    return (
        f"| {cell.said} | {data} | {_rate(rows)} | {min(inputs)} to {max(inputs)} | "
        f"{np.median(seconds):.1f}, {max(seconds):.1f} |"
    )


if __name__ == "__main__":
    main()
