"""A training step of a convolutional SNN: ours, snnTorch's loop and SpikingJelly's multi-step mode.

Two convolutions of 12 and 24 channels on 28 x 28 inputs, as the audit's evaluator has them, batch
100, T = 25, 13 % of the inputs fire. Each way runs in a process of its own with torch's settings as
they come; they take turns, and the ratio is the median over rounds.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor, nn

STEPS, BATCH, SIDE, CLASSES, DENSITY = 25, 100, 28, 10, 0.13
WAYS = ("ours", "snnTorch", "SpikingJelly")


def against_frameworks(rounds: int, threads: tuple[int, ...] = (1, 2)) -> list[list[str]]:
    """Rows: threads, seconds a step of each way, and their ratios to ours."""
    rows = []
    for count in threads:
        seconds = _measure(rounds, count)
        medians = [statistics.median(seconds[way]) for way in WAYS]
        ratios = [
            statistics.median(b / a for a, b in zip(seconds["ours"], seconds[way], strict=True))
            for way in WAYS[1:]
        ]
        found = [f"{median:.3f}" for median in medians] + [f"{ratio:.2f}" for ratio in ratios]
        rows.append([str(count), *found])
    return rows


def _measure(rounds: int, threads: int) -> dict[str, list[float]]:
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for way in WAYS:
        here, there = context.Pipe()
        context.Process(target=_answer, args=(there, way, threads), daemon=True).start()
        pipes[way] = here
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for i in range(rounds + 2):
        for way, pipe in pipes.items():
            pipe.send(True)
            took = pipe.recv()
            if i >= 2:  # the first rounds compile
                seconds[way].append(took)
    for pipe in pipes.values():
        pipe.send(False)
    return seconds


def _answer(pipe: Connection, way: str, threads: int) -> None:
    """In a process of its own: a step each time it is asked."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    step = {"ours": _ours, "snnTorch": _snntorch, "SpikingJelly": _spikingjelly}[way]()
    generator = torch.Generator().manual_seed(0)
    spikes = (torch.rand(STEPS, BATCH, 1, SIDE, SIDE, generator=generator) < DENSITY).float()
    labels = torch.arange(BATCH) % CLASSES
    while pipe.recv():
        start = time.perf_counter()
        step(spikes, labels)
        pipe.send(time.perf_counter() - start)


def _trained(
    network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor, Tensor], None]:
    optimiser = torch.optim.Adam(network.parameters())

    def step(spikes: Tensor, labels: Tensor) -> None:
        optimiser.zero_grad()
        loss(spikes, labels).backward()
        optimiser.step()

    return step


def _ours() -> Callable[[Tensor, Tensor], None]:
    from brainleaks.networks import SpikingConvNet
    from brainleaks.neuron import FastSigmoid
    from brainleaks.training import summed_cross_entropy

    network = SpikingConvNet(
        (1, SIDE, SIDE), CLASSES, kernel=3, padding=1, beta=0.7, surrogate=FastSigmoid(40)
    )
    return _trained(network, lambda x, y: summed_cross_entropy(network(x), y))


def _snntorch() -> Callable[[Tensor, Tensor], None]:
    import snntorch as snn
    from snntorch import surrogate

    settings: Any = {"beta": 0.7, "spike_grad": surrogate.fast_sigmoid(slope=40)}
    network = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.MaxPool2d(2), snn.Leaky(**settings, init_hidden=True),
        nn.Conv2d(12, 24, 3, padding=1), nn.MaxPool2d(2), snn.Leaky(**settings, init_hidden=True),
        nn.Flatten(), nn.Linear(24 * (SIDE // 4) ** 2, CLASSES),
        snn.Leaky(**settings, init_hidden=True, output=True),
    )  # fmt: skip

    def loss(spikes: Tensor, labels: Tensor) -> Tensor:
        for layer in network:
            if isinstance(layer, snn.Leaky):
                layer.reset_mem()
        membranes = torch.stack([network(step)[1] for step in spikes])
        return nn.functional.cross_entropy(membranes.flatten(0, 1), labels.repeat(STEPS))

    return _trained(network, loss)


def _spikingjelly() -> Callable[[Tensor, Tensor], None]:
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif() -> nn.Module:
        return neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan())

    network = nn.Sequential(
        layer.Conv2d(1, 12, 3, padding=1), layer.MaxPool2d(2), lif(),
        layer.Conv2d(12, 24, 3, padding=1), layer.MaxPool2d(2), lif(),
        layer.Flatten(), layer.Linear(24 * (SIDE // 4) ** 2, CLASSES), lif(),
    )  # fmt: skip
    functional.set_step_mode(network, "m")

    def loss(spikes: Tensor, labels: Tensor) -> Tensor:
        functional.reset_net(network)
        return nn.functional.cross_entropy(network(spikes).mean(0), labels)

    return _trained(network, loss)


if __name__ == "__main__":
    for row in against_frameworks(15):
        print(" | ".join(row))
