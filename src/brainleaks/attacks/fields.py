"""Fields of spike probabilities: few values over time, the spikes drawn from them, and answers."""

import torch
from torch import Tensor

from brainleaks.randomness import class_uniform
from brainleaks.target import Objective, Target


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


def presented(field: Tensor, target: Target, time_steps: int) -> Tensor:
    """A field as an attack returns it: probabilities ``(T, B, ...)``, or images ``(B, ...)``."""
    if not target.spiking:
        return field[0]
    return over_time(interpolation(time_steps, len(field)).to(field), field)


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


def ask(
    target: Target,
    field: Tensor,
    labels: Tensor,
    objective: Objective,
    *,
    time_steps: int,
    draws: int,
    seed: int,
    purpose: str | int,
) -> tuple[Tensor, Tensor]:
    """An objective and its gradient on a field, averaged over spike trains drawn from it.

    A spike's derivative by its probability is taken for 1 (straight-through; Bengio et al. 2013).
    An ordinary target is asked for the field itself, as images.

    Args:
        target: grants gradients.
        field: ``(K, B, ...)`` in [0, 1]; of an ordinary target ``K`` is 1.
        labels: ``(B,)``.
        objective: what is differentiated.
        time_steps: length of the spike trains.
        draws: spike trains a class.
        seed: of the attack.
        purpose: what they are drawn for.

    Returns:
        ``(values, gradient)``: ``(B,)`` and the field's shape.
    """
    if not target.spiking:
        values, gradient = target.gradient(target.entry(field[0]), labels, objective)
        return values, gradient.unsqueeze(0)
    weights, found = interpolation(time_steps, len(field)).to(field), []
    members = draw(over_time(weights, field), labels, draws, seed, purpose)

    def weigh(values: Tensor, members: Tensor) -> Tensor:
        found.append(values.mean(0))
        return torch.full_like(values, 1 / draws)

    _, gradient = target.shared_gradient(members, labels, objective, weigh, over_time=weights)
    return torch.cat(found), gradient
