"""Steps downhill whose whole memory is tensors, so that an attack can be cut off and go on."""

import math

import torch
from torch import Tensor

_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8


def cosine(iteration: int, iterations: int) -> float:
    """A factor that falls from 1 to 0 along half a cosine (Loshchilov and Hutter 2017)."""
    return 0.5 * (1 + math.cos(math.pi * iteration / iterations))


def adam(
    value: Tensor, gradient: Tensor, moments: Tensor, iteration: int, learning_rate: float
) -> tuple[Tensor, Tensor]:
    """One step of Adam (Kingma and Ba 2015) with its usual constants.

    Args:
        value: what is moved.
        gradient: of its shape.
        moments: running means of gradient and squared gradient, ``(2, *value.shape)``; 0 at first.
        iteration: how many steps came before.
        learning_rate: step size.

    Returns:
        The new value and moments.
    """
    first = _FIRST * moments[0] + (1 - _FIRST) * gradient
    second = _SECOND * moments[1] + (1 - _SECOND) * gradient**2
    unbiased = first / (1 - _FIRST ** (iteration + 1))
    size = (second / (1 - _SECOND ** (iteration + 1))).sqrt() + _EPSILON
    moved = value - learning_rate * unbiased / size
    return moved, torch.stack([first, second])
