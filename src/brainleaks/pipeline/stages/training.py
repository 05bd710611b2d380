"""Stage: one network, trained and measured."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from brainleaks.data.dataset import Dataset, Samples, SpikeTrains
from brainleaks.defences import Defence
from brainleaks.monitor import Monitor
from brainleaks.networks import Readout
from brainleaks.networks.config import NetworkConfig
from brainleaks.randomness import stream
from brainleaks.training import Recipe, accuracy, fit
from brainleaks.training.loop import Encode


def new_network(
    build: Callable[[tuple[int, ...], int], nn.Module],
    dataset: Dataset,
    *,
    name: str,
    seed: int,
    device: str,
) -> nn.Module:
    """The network before training; its first weights are a function of seed and name."""
    first = stream(seed, name, "initial weights").initial_seed()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(first)
        network = build(dataset.input_shape, len(dataset.class_names))
    return network.to(device)


def train(
    network: nn.Module,
    recipe: Recipe,
    samples: Samples,
    *,
    encode: Encode,
    readout: Readout,
    name: str,
    seed: int,
    monitor: Monitor,
    defences: Sequence[Defence] = (),
) -> dict[str, Any]:
    """Train a new network in place; what the defences of its training report, by their names."""
    generator = stream(seed, name, "training")
    return fit(
        network,
        samples,
        recipe,
        encode=encode,
        generator=generator,
        readout=readout,
        monitor=monitor,
        defences=defences,
    )


def measure(
    network: nn.Module,
    config: NetworkConfig,
    recipe: Recipe,
    dataset: Dataset,
    *,
    encode: Encode,
    name: str,
    seed: int,
) -> dict[str, float]:
    """Accuracy on both parts of the data, as ``train_accuracy`` and ``test_accuracy``.

    Recordings come in batches of the recipe's size: how many share a batch decides how much silence
    pads them, and so what the network was trained on.
    """
    parts = {"train": dataset.train, "test": dataset.test}
    recorded = isinstance(dataset.train.inputs, SpikeTrains)
    batches = {"batch_size": recipe.batch_size} if recorded else {}
    return {
        f"{part}_accuracy": accuracy(
            network,
            samples,
            encode=encode,
            readout=config.readout,
            generator=stream(seed, name, part),
            **batches,
        )
        for part, samples in parts.items()
    }
