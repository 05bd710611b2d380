"""Fields of spike probabilities: few values over time, and the spikes drawn from them."""

import torch
from torch import Tensor

from brainleaks.randomness import class_uniform


def interpolation(steps: int, knots: int) -> Tensor:
    """Weights ``(steps, knots)`` of linear interpolation between evenly spaced knots.

    The first knot lies at the first step and the last at the last; one knot holds throughout. Each
    row adds up to 1, so that what is interpolated between probabilities is a probability.
    """
    if knots == 1:
        return torch.ones(steps, 1)
    places = torch.linspace(0, knots - 1, steps).unsqueeze(1)
    return (1 - (places - torch.arange(knots)).abs()).clamp(min=0)


def over_time(weights: Tensor, field: Tensor) -> Tensor:
    """The field's values ``(K, B, ...)`` at every step, ``(T, B, ...)``, by ``weights (T, K)``."""
    return torch.einsum("tk,k...->t...", weights, field)


def draw(rates: Tensor, labels: Tensor, members: int, seed: int, purpose: str | int) -> Tensor:
    """Spike trains drawn from the rates, ``(T, members, B, ...)``; each class draws for itself.

    Args:
        rates: spike probabilities, ``(T, B, ...)``.
        labels: ``(B,)``, the class that each is made for.
        members: how many are drawn of each.
        seed: of the attack.
        purpose: what they are drawn for, such as the iteration.
    """
    drawn = rates.new_empty(len(rates), members, *rates.shape[1:])
    shape = (len(rates), members, *rates.shape[2:])
    for i in range(len(labels)):
        noise = class_uniform(seed, purpose, labels[i : i + 1], shape, like=rates)[0]
        drawn[:, :, i] = noise < rates[:, i].unsqueeze(1)
    return drawn
