"""Training: one recipe for every network (PROTOCOL, Training)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from brainleaks.data.dataset import Samples, SpikeTrains
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.networks import Readout, respond_in_pieces
from brainleaks.randomness import draw_seed, stream
from brainleaks.training.loop import Encode, TrainingLoop
from brainleaks.training.loss import prediction
from brainleaks.training.recipe import Recipe


def fit(
    network: nn.Module,
    samples: Samples,
    recipe: Recipe,
    *,
    encode: Encode,
    generator: torch.Generator,
    readout: Readout = "membrane",
    monitor: Monitor | None = None,
    defences: Sequence[Callable[[TrainingLoop], None]] = (),
) -> dict[str, Any]:
    """Train ``network`` in place.

    Each epoch reports its loss and the accuracy of what ``readout`` reads, as the network stood at
    each batch. Order and encoding are drawn again each epoch, from streams of the generator's next
    seed: an interrupted training goes on with the numbers that it would have had.

    Args:
        network: is trained.
        samples: the training set.
        recipe: the hyper-parameters.
        encode: turns images into what the network takes.
        generator: gives the seed.
        readout: which output trace says what the network predicts.
        monitor: is told of each epoch.
        defences: change the loop, in this order; see :mod:`brainleaks.defences`.

    Returns:
        What the defences report, as JSON.

    Raises:
        InputError: if the loss is no longer finite, recordings are to be shifted or mirrored, or a
            defence does not apply.
    """
    _check_augmentation(samples, recipe)
    loop = TrainingLoop(network, samples, recipe, encode, draw_seed(generator), readout)
    for defence in defences:
        defence(loop)
    loop.run(monitor or Monitor())
    return loop.facts


def _check_augmentation(samples: Samples, recipe: Recipe) -> None:
    if recipe.augments and isinstance(samples.inputs, SpikeTrains):
        raise InputError(
            "training: crop and flip support images only; leave them out for event recordings."
        )


@torch.no_grad()
def accuracy(
    network: nn.Module,
    samples: Samples,
    *,
    encode: Encode,
    readout: Readout,
    generator: torch.Generator,
    batch_size: int = 50,
) -> float:
    """Share of samples whose own class is the argmax of the read-out summed over time.

    Recordings are padded with silence to the longest of their batch of ``batch_size``, and the
    membrane is summed over the silence as well, as in training.
    """
    device = next(network.parameters()).device
    noise = stream(draw_seed(generator), "encoding", device=device)
    correct = 0
    for batch in torch.arange(len(samples.labels)).split(batch_size):
        inputs = encode(samples.inputs[batch].to(device), noise)
        response = respond_in_pieces(network, inputs)
        correct += int((prediction(response, readout).cpu() == samples.labels[batch]).sum())
    return correct / len(samples.labels)
