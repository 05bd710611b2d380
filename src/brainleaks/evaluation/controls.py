"""Controls: the same measures where nothing can have leaked, or where everything has.

A reconstruction is evidence only if it convinces more than these do, judged alike:

- ``noise``: its own pixels in random order;
- ``untrained``: the same attack on a target that was never trained;
- ``shuffled-labels``: the same attack on a target trained on the data under shuffled labels;
- ``without-class``: the same attack on a target trained without the class, asked for the class's
  nearest that it knows;
- ``class-mean``: the mean of held-out samples, which no attack is expected to beat. The only one
  that is positive: an upper reference.
"""

from typing import Literal

import torch
from torch import Tensor

from brainleaks.data.dataset import Samples, SpikeTrains
from brainleaks.data.parts import images
from brainleaks.randomness import stream

Control = Literal["noise", "untrained", "shuffled-labels", "without-class", "class-mean"]
CONTROLS: tuple[Control, ...] = (
    "noise",
    "untrained",
    "shuffled-labels",
    "without-class",
    "class-mean",
)
NEGATIVE = CONTROLS[:-1]
#: With fewer classes, a target without half of them would know one class alone.
FEWEST_TO_HALVE = 4


def possible(control: Control, classes: int) -> bool:
    """Whether there are enough classes for a control."""
    return control != "without-class" or classes >= FEWEST_TO_HALVE


def noise(values: Tensor, *, spiking: bool, seed: int) -> Tensor:
    """Each reconstruction with its pixels in random order, the same at every time step.

    Args:
        values: ``(T, B, C, H, W)`` if ``spiking``, else ``(B, C, H, W)``.
        spiking: whether time comes first.
        seed: decides the orders, one a reconstruction.
    """
    rows = values if spiking else values.unsqueeze(0)
    flat = rows.flatten(2)
    orders = [
        torch.randperm(flat.shape[2], generator=stream(seed, "noise", i))
        for i in range(flat.shape[1])
    ]
    mixed = torch.stack([flat[:, i, order.to(flat.device)] for i, order in enumerate(orders)], 1)
    mixed = mixed.view_as(rows)
    return mixed if spiking else mixed[0]


def class_means(held_out: Samples, classes: int, steps: int | None) -> Tensor:
    """The mean of each class's held-out samples, in the form of a reconstruction.

    Recordings become the probability that a pixel fires at each of the first ``steps`` time steps;
    images become the constant probability of ``steps`` time steps, or, without, stay images.

    Returns:
        ``(steps, C, channels, H, W)`` or ``(C, channels, H, W)``; 0 for a class without samples.
    """
    inputs = held_out.inputs
    chosen = [(held_out.labels == c).nonzero().squeeze(1) for c in range(classes)]
    if isinstance(inputs, SpikeTrains) and steps is not None:
        return torch.stack([_mean_recording(inputs, which, steps) for which in chosen], 1)
    seen = images(held_out)
    blank = torch.zeros_like(seen[:1])
    means = torch.stack([seen[which].mean(0) if len(which) else blank[0] for which in chosen])
    return means if steps is None else means.expand(steps, *means.shape)


def nearest_known(class_means: Tensor, known: list[int], unknown: list[int]) -> list[int]:
    """For each unknown class, the position in ``known`` of the class whose mean is nearest."""
    rows = class_means.flatten(1)
    return [int(i) for i in torch.cdist(rows[unknown], rows[known]).argmin(1)]


def _mean_recording(inputs: SpikeTrains, which: Tensor, steps: int) -> Tensor:
    total = torch.zeros(steps, *inputs.shape)
    for i in which:
        frames = inputs[i.view(1)][:steps, 0]
        total[: len(frames)] += frames
    return total / max(1, len(which))
