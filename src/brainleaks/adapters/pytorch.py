"""Plain torch: modules without a spiking framework."""

import torch
from torch import nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import Neuron
from brainleaks.adapters.order import TIME_FIRST, Order

NAME = "torch"


def is_neuron(module: nn.Module) -> bool:
    """No module of torch's own is a layer of spiking neurons."""
    return False


def makes_one_step(module: nn.Module) -> bool:
    """No module is known to advance one time step a call."""
    return False


def forget(network: nn.Module) -> None:
    """Do nothing: there is no known state."""


def orders(module: nn.Module) -> tuple[Order, ...]:
    """The order of axes that its networks take."""
    return (TIME_FIRST,)


def resize(network: nn.Module, batch: int) -> None:
    """Do nothing: its layers hold no batch."""


def check(network: nn.Module) -> None:
    """Nothing to refuse."""


def describe(neuron: nn.Module) -> Neuron:
    """Never called, because there are no neurons.

    Raises:
        CannotLower: always.
    """
    raise CannotLower("it has no spiking neurons")


def version() -> str:
    """The version of torch."""
    return str(torch.__version__)
