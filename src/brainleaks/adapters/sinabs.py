"""sinabs: layers of neurons over all time steps, with the batch first, or one axis for both.

``LIF`` decays, charges, and fires at the threshold and above; its reset, in the step of the spike,
is to zero or by subtraction. By default (``MultiSpike``) it fires several times in a step, which
the operator's neuron does not. ``IAF`` is ``LIF`` without a leak, ``ExpLeak`` a leaky integrator. A
synapse decays with its input, ``i = a * (i + x)``. Layers named ``Squeeze`` hold the size of the
batch, which is set to that of each call.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import LEAKS_LAST, STAND_IN, Neuron, above_rest, uniform
from brainleaks.adapters.order import Order
from brainleaks.adapters.trace import parts_of

NAME = "sinabs"


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is a layer of sinabs's neurons."""
    from sinabs.layers import StatefulLayer

    return isinstance(module, StatefulLayer)


def makes_one_step(module: nn.Module) -> bool:
    """Never: sinabs's layers take all time steps in a call."""
    return False


def orders(module: nn.Module) -> tuple[Order, ...]:
    """The orders of axes that a network may take: with one axis, where its layers hold a batch."""
    apart, rows = Order(batch_first=True), Order(batch_first=True, rows=True)
    return (rows, apart) if _sized(module) else (apart, rows)


def forget(network: nn.Module) -> None:
    """Reset the state of all layers of neurons."""
    for part in parts_of(network):
        if is_neuron(part):
            _empty(part)


def resize(network: nn.Module, batch: int) -> None:
    """Tell layers that hold the size of the batch what it is."""
    for part in _sized(network):
        part.batch_size, part.num_timesteps = batch, -1


def check(network: nn.Module) -> None:
    """Nothing to refuse."""


def describe(layer: Any) -> Neuron:
    """A layer of sinabs's neurons in terms of the operator.

    Raises:
        CannotLower: if the operator has no such neuron.
    """
    from sinabs import activation, layers

    kind = type(layer).__name__.removesuffix("Squeeze")
    if kind not in ("LIF", "IAF", "ExpLeak") or not isinstance(layer, layers.LIF):
        raise CannotLower(f"sinabs's {type(layer).__name__} is not supported by the fused kernel")
    if layer.min_v_mem is not None:
        raise CannotLower("its membrane has a lower bound, min_v_mem")
    beta = uniform("tau_mem", layer.alpha_mem_calculated)
    synapse, gain = None, 1 - beta if layer.norm_input else 1.0
    if layer.alpha_syn_calculated is not None:
        synapse = uniform("tau_syn", layer.alpha_syn_calculated)
        gain *= synapse
    told = {"neuron": f"sinabs.{type(layer).__name__}", "input": f"scaled by {gain:.4g}"}
    if layer.spike_fn is None:
        return Neuron(
            beta=beta, gain=gain, synapse=synapse, fires=False, conventions=told | {"reset": "none"}
        )
    if layer.spike_fn is not activation.SingleSpike:
        raise CannotLower("it fires several times in a step")
    threshold = uniform("spike_threshold", layer.spike_threshold)
    soft = _is_soft(layer.reset_fn, threshold)
    if soft and beta < 1:
        raise CannotLower(LEAKS_LAST)
    at = float(np.nextafter(np.float32(threshold), np.float32(-np.inf)))
    told |= {"fires": "at the threshold and above", "reset": "subtract" if soft else "to 0"}
    surrogate = type(layer.surrogate_grad_fn).__name__
    return Neuron(
        beta=beta,
        threshold=above_rest(at),
        reset="subtract" if soft else "zero",
        reset_delay=soft,  # without a leak the reset may as well wait for the next step
        gain=gain,
        synapse=synapse,
        charged=not soft,
        conventions=told
        | {
            "reset_when": "with the spike",
            "surrogate": f"arctan, alpha {STAND_IN.alpha}, in place of {surrogate}",
        },
    )


def version() -> str:
    """The version of the installed sinabs."""
    from importlib import metadata

    return metadata.version("sinabs")


def _is_soft(reset: Any, threshold: float) -> bool:
    """Whether a reset subtracts the threshold, rather than setting to zero."""
    from sinabs import activation

    if isinstance(reset, activation.MembraneSubtract):
        if reset.subtract_value in (None, threshold):
            return True
        raise CannotLower(f"its reset subtracts {reset.subtract_value:g}, not its threshold")
    if isinstance(reset, activation.MembraneReset) and reset.reset_value == 0:
        return False
    raise CannotLower(f"its reset is {reset}")


def _sized(network: nn.Module) -> list[Any]:
    from sinabs.layers.reshape import SqueezeMixin, UnflattenTime

    return [part for part in parts_of(network) if isinstance(part, SqueezeMixin | UnflattenTime)]


def _empty(layer: Any) -> None:
    """Drop a layer's state, which is made anew, and sized, at its next call."""
    for name, state in layer.named_buffers(recurse=False):
        setattr(layer, name, torch.zeros(0, device=state.device))
