"""Rockpool: layers over all time steps, batch first, that answer with a state and a record too.

``LIFTorch``, the neuron of Xylo, fires several times in a step, and leaks after its subtractive
reset; neither is the operator's. So Rockpool's neurons run in Rockpool, between layers that take
all steps at once. Its ``LinearTorch`` holds the transpose of what torch's ``Linear`` does.
"""

from typing import Any

from torch import nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import Neuron
from brainleaks.adapters.order import Order
from brainleaks.adapters.trace import parts_of

NAME = "rockpool"


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is a layer of Rockpool's that keeps a state."""
    from rockpool.nn.modules.torch.torch_module import TorchModule

    return isinstance(module, TorchModule) and not any(module.children()) and bool(module.state())


def makes_one_step(module: nn.Module) -> bool:
    """Never: Rockpool's layers take all time steps in a call."""
    return False


def orders(module: nn.Module) -> tuple[Order, ...]:
    """The order of axes that Rockpool's networks take."""
    return (Order(batch_first=True),)


def forget(network: nn.Module) -> None:
    """Reset the state of all layers."""
    for part in parts_of(network):
        if is_neuron(part):
            part.reset_state()  # type: ignore[operator]


def resize(network: nn.Module, batch: int) -> None:
    """Do nothing: its layers hold no batch."""


def check(network: nn.Module) -> None:
    """Nothing to refuse."""


def describe(layer: Any) -> Neuron:
    """Raise CannotLower: the operator has none of Rockpool's neurons."""
    kind = type(layer).__name__
    if kind.startswith("LIF"):
        raise CannotLower(
            f"Rockpool's {kind} fires several times in a step, and applies the leak after the "
            "subtractive reset"
        )
    raise CannotLower(f"Rockpool's {kind} is not supported by the fused kernel")


def version() -> str:
    """The version of the installed Rockpool."""
    from importlib import metadata

    return metadata.version("rockpool")
