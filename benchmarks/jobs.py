"""What the benchmarks time, the notebooks' way and ours: attacks and training steps.

The network is 784-3000-10 with T = 25 and random weights. Each job is a function without arguments.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from brainleaks import BrainLeaksV1, BrainLeaksV2, FastSigmoid, Target
from brainleaks.networks import SpikingMLP
from brainleaks.training import summed_cross_entropy
from notebook_way import NotebookSNN, brainleaks_v1, brainleaks_v2, train_step

Jobs = dict[str, Callable[[], object]]

STEPS, INPUTS, HIDDEN, CLASSES, BATCH, POPULATION = 25, 784, 3000, 10, 100, 7
SHAPE = (1, 28, 28)
#: Mean pixel of MNIST's training images: the share of spikes in its rate code.
MNIST_RATE = 0.1307
NAMES = {
    "v1": "BrainLeaks-v1, 10 classes, 10 iterations",
    "v2": "BrainLeaks-v2, 10 classes, 10 iterations, population 7",
    "mnist": "training step, batch 100, inputs as sparse as MNIST's",
    "dense": "training step, batch 100, every second input fires",
}


def notebooks(device: str = "cpu") -> Jobs:
    """The notebooks' way: one class, one member, one step after the other."""
    torch.manual_seed(0)
    with torch.device(device):
        network = NotebookSNN(INPUTS, HIDDEN, CLASSES)
    shape = (STEPS, 1, INPUTS)

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

    jobs = {"v1": v1, "v2": v2} | _trainings(network, device, train_step)
    return {name: _making_tensors_on(device, job) for name, job in jobs.items()}


def _making_tensors_on(device: str, job: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        with torch.device(device):
            return job()

    return run if device != "cpu" else job


def ours(device: str = "cpu") -> Jobs:
    """The same by this package."""
    torch.manual_seed(0)
    network = SpikingMLP(SHAPE, CLASSES, beta=0.7, surrogate=FastSigmoid(40)).to(device)
    target, labels = Target(network, input_shape=SHAPE, classes=CLASSES), torch.arange(CLASSES)

    def attacked_by(attack: BrainLeaksV1 | BrainLeaksV2) -> Callable[[], object]:
        return lambda: attack(target, labels, generator=torch.Generator().manual_seed(0))

    def step(
        network: nn.Module, adam: torch.optim.Optimizer, spikes: Tensor, labels: Tensor
    ) -> None:
        adam.zero_grad()
        summed_cross_entropy(network(spikes.unflatten(2, SHAPE)), labels).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()

    attacks = {
        "v1": attacked_by(BrainLeaksV1()),
        "v2": attacked_by(BrainLeaksV2(population=POPULATION)),
    }
    return attacks | _trainings(network, device, step, fused=True)


def _trainings(
    network: nn.Module, device: str, step: Callable[..., object], *, fused: bool = False
) -> Jobs:
    adam = torch.optim.Adam(network.parameters(), 5e-5, fused=fused)
    jobs: Jobs = {}
    for name, rate in (("mnist", MNIST_RATE), ("dense", 0.5)):
        spikes = (torch.rand(STEPS, BATCH, INPUTS) < rate).float()
        data = spikes.to(device), torch.randint(CLASSES, (BATCH,)).to(device)
        jobs[name] = lambda data=data: step(network, adam, *data)
    return jobs


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
