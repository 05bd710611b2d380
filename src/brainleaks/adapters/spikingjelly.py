"""SpikingJelly: single-step and multi-step neurons that keep their state until reset.

``LIFNode`` charges to ``h = v + (x - (v - v_reset)) / tau`` or, with ``decay_input=False``,
``h = v - (v - v_reset) / tau + x``; ``IFNode`` to ``h = v + x``. It fires at the threshold and
above, and resets in the step of the spike: to ``v_reset``, or by subtraction where that is
``None``. Measured from ``v_reset`` this is the operator's neuron with ``beta = 1 - 1/tau``, its
input scaled by ``1 / tau`` where it decays, and for a threshold the largest number below
``v_threshold - v_reset``: to be above it is to be at the threshold or above. A leak after a
subtractive reset is not the operator's; without leak (``IFNode``) it makes no difference to the
spikes whether the subtraction waits for the next step, as the operator's does. What waits carries
no gradient: neither does a reset with ``detach_reset``.
"""

from typing import Any

import numpy as np
from torch import nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import LEAKS_LAST, STAND_IN, Neuron, above_rest
from brainleaks.adapters.order import TIME_FIRST, Order
from brainleaks.neuron import ArcTan, FastSigmoid
from brainleaks.neuron.dynamics import Surrogate

NAME = "spikingjelly"


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is a layer of SpikingJelly's neurons, or remembers otherwise."""
    from spikingjelly.activation_based import layer, neuron

    # version 0.0.0.0.14, which many still have, knows the first alone
    names = ("BaseNode", "SimpleBaseNode", "NonSpikingBaseNode")
    kinds = [getattr(neuron, name) for name in names if hasattr(neuron, name)]
    kinds += [layer.LinearRecurrentContainer, layer.ElementWiseRecurrentContainer]
    return isinstance(module, (*kinds, layer.SynapseFilter))


def makes_one_step(module: nn.Module) -> bool:
    """Whether a module is a layer of neurons that advances one time step a call."""
    return is_neuron(module) and getattr(module, "step_mode", "m") == "s"


def forget(network: nn.Module) -> None:
    """Reset the state of all stateful modules."""
    from spikingjelly.activation_based import base

    for module in network.modules():
        if isinstance(module, base.MemoryModule):
            module.reset()


def orders(module: nn.Module) -> tuple[Order, ...]:
    """The order of axes that its networks take."""
    return (TIME_FIRST,)


def resize(network: nn.Module, batch: int) -> None:
    """Do nothing: its layers hold no batch."""


def check(network: nn.Module) -> None:
    """Nothing to refuse."""


def describe(node: Any) -> Neuron:
    """A layer of SpikingJelly's neurons in terms of the operator.

    Raises:
        CannotLower: if the operator has no such neuron.
    """
    from spikingjelly.activation_based import neuron

    if type(node) not in (neuron.LIFNode, neuron.ParametricLIFNode, neuron.IFNode):
        raise CannotLower(
            f"SpikingJelly's {type(node).__name__} is not supported by the fused kernel"
        )
    leak = _leak(node)
    soft = node.v_reset is None
    if soft and leak:
        raise CannotLower(LEAKS_LAST)
    scaled = bool(leak and node.decay_input)
    rest = 0.0 if soft else node.v_reset
    threshold = np.nextafter(np.float32(node.v_threshold - rest), np.float32(-np.inf))
    surrogate, name = _surrogate(node.surrogate_function)
    return Neuron(
        beta=1 - leak,
        threshold=above_rest(float(threshold)),
        reset="subtract" if soft else "zero",
        # the operator's waiting reset carries no gradient, as a detached one does
        reset_delay=soft or node.detach_reset,
        gain=leak if scaled else 1.0,
        rest=rest,
        charged=not soft and not node.detach_reset,
        surrogate=surrogate,
        conventions={
            "neuron": f"spikingjelly.{type(node).__name__}",
            "fires": "at the threshold and above",
            "reset": "subtract" if soft else f"to {node.v_reset:g}",
            "reset_when": "with the spike",
            "input": "scaled by 1/tau" if scaled else "undecayed",
            "surrogate": name,
        },
    )


def version() -> str:
    """The version of the installed SpikingJelly."""
    from importlib import metadata

    return metadata.version("spikingjelly")


def _leak(node: Any) -> float:
    """Fraction of the membrane lost per step, ``1 / tau``."""
    from spikingjelly.activation_based import neuron

    if isinstance(node, neuron.ParametricLIFNode):
        return float(node.w.detach().sigmoid())
    return 1 / node.tau if isinstance(node, neuron.LIFNode) else 0.0


def _surrogate(function: Any) -> tuple[Surrogate, str]:
    """The surrogate, or one as steep at the threshold in place of it."""
    from spikingjelly.activation_based import surrogate

    if not getattr(function, "spiking", True):
        raise CannotLower("its surrogate is not in spiking mode: it answers with no spikes")
    alpha: Any = getattr(function, "alpha", None)
    kind = type(function).__name__
    if isinstance(function, surrogate.ATan):
        return ArcTan(float(alpha)), f"arctan, alpha {alpha}"
    if isinstance(function, surrogate.SoftSign) and alpha == 2.0:
        return FastSigmoid(2.0), "fast sigmoid, slope 2"
    if isinstance(function, surrogate.Sigmoid):
        return ArcTan(alpha / 2), f"arctan, alpha {alpha / 2}, in place of {kind}({alpha})"
    return STAND_IN, f"arctan, alpha {STAND_IN.alpha}, in place of {kind}"
