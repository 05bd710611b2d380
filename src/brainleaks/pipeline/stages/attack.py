"""Stage: one attack on every class of a target."""

from collections.abc import Callable

import torch
from torch import Tensor

from brainleaks.monitor import Monitor
from brainleaks.randomness import stream
from brainleaks.target import Target


def attack_all(
    attack: Callable[..., Tensor], target: Target, *, name: str, seed: int, monitor: Monitor
) -> Tensor:
    """One reconstruction a class, in the order of the classes."""
    labels = torch.arange(target.classes)
    generator = stream(seed, name, "attack")
    return attack(target, labels, generator=generator, monitor=monitor)
