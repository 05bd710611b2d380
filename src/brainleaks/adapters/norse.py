"""Norse: cells that take and return their state, and layers that loop over time.

With ``a = dt * tau_mem_inv``, a box cell does ``v += a * (v_leak - v + x)``, fires strictly above
``v_th`` and resets in the step of the spike, to ``v_reset`` or by subtraction. Measured from
``v_leak`` this is the operator's neuron with ``beta = 1 - a``, its input scaled by ``a``, and the
threshold ``v_th - v_leak``. ``LIF`` and ``LI`` put a leaky current before it,
``i[t] = (1 - dt * tau_syn_inv) * i[t-1] + x[t]``. A leak after a subtractive reset,
``beta * (v - v_th)``, is not the operator's, which subtracts after the leak.
"""

from typing import Any

import torch
from torch import nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import (
    LEAKS_LAST,
    STAND_IN,
    Neuron,
    above_rest,
    one_rest,
    uniform,
)
from brainleaks.adapters.order import TIME_FIRST, Order
from brainleaks.neuron import FastSigmoid
from brainleaks.neuron.dynamics import Reset, Surrogate

NAME = "norse"


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is a layer of Norse's neurons."""
    from norse.torch.module import snn

    return isinstance(module, snn.SNN | snn.SNNCell | snn.SNNRecurrent | snn.SNNRecurrentCell)


def makes_one_step(module: nn.Module) -> bool:
    """Whether a module is a layer of neurons that advances one time step a call."""
    from norse.torch.module import snn

    return isinstance(module, snn.SNNCell | snn.SNNRecurrentCell)


def forget(network: nn.Module) -> None:
    """Do nothing: Norse's neurons keep no state between calls."""


def orders(module: nn.Module) -> tuple[Order, ...]:
    """The order of axes that its networks take."""
    return (TIME_FIRST,)


def resize(network: nn.Module, batch: int) -> None:
    """Do nothing: its layers hold no batch."""


def check(network: nn.Module) -> None:
    """Nothing to refuse."""


def describe(neuron: Any) -> Neuron:
    """A layer of Norse's neurons in terms of the operator.

    Raises:
        CannotLower: if the operator has no such neuron.
    """
    import norse.torch as norse

    p = neuron.p
    if type(neuron) in (norse.LIFBoxCell, norse.LIFCell, norse.LIF):
        leak, threshold, reset = _uniform(p, "v_leak"), _uniform(p, "v_th"), _uniform(p, "v_reset")
        share = neuron.dt * _uniform(p, "tau_mem_inv")
        _check_reset(p)
        surrogate, name = _surrogate(p.method)
        one_rest(leak, reset)
        return Neuron(
            beta=1 - share,
            threshold=above_rest(threshold - leak),
            reset="zero",
            reset_delay=False,
            gain=share,
            synapse=None if type(neuron) is norse.LIFBoxCell else _synapse(neuron),
            rest=leak,
            charged=True,
            surrogate=surrogate,
            conventions=_conventions(neuron, "zero", "scaled by dt * tau_mem_inv", name),
        )
    if type(neuron) in (norse.IAFCell, norse.IAF):
        surrogate, name = _surrogate(p.method)
        rest = _uniform(p, "v_reset")
        return Neuron(
            beta=1.0,
            threshold=above_rest(_uniform(p, "v_th") - rest),
            reset="zero",
            reset_delay=False,
            rest=rest,
            charged=True,
            surrogate=surrogate,
            conventions=_conventions(neuron, "zero", "undecayed", name),
        )
    if type(neuron) in (norse.LIBoxCell, norse.LICell, norse.LI):
        share = neuron.dt * _uniform(p, "tau_mem_inv")
        return Neuron(
            beta=1 - share,
            gain=share,
            synapse=None if type(neuron) is norse.LIBoxCell else _synapse(neuron),
            fires=False,
            rest=_uniform(p, "v_leak"),
            conventions=_conventions(neuron, "none", "scaled by dt * tau_mem_inv", "none"),
        )
    raise CannotLower(f"Norse's {type(neuron).__name__} is not supported by the fused kernel")


def version() -> str:
    """The version of the installed Norse."""
    from importlib import metadata

    return metadata.version("norse")


def _check_reset(p: Any) -> None:
    from norse.torch.functional import reset

    method = getattr(p, "reset_method", reset.reset_value)
    if method is reset.reset_subtract:
        raise CannotLower(LEAKS_LAST)
    if method is not reset.reset_value:
        raise CannotLower(f"its reset_method is {getattr(method, '__name__', method)}")


def _synapse(neuron: Any) -> float:
    return 1 - float(neuron.dt * _uniform(neuron.p, "tau_syn_inv"))


def _uniform(p: Any, name: str) -> float:
    return uniform(name, torch.as_tensor(getattr(p, name)))


def _surrogate(method: str) -> tuple[Surrogate, str]:
    if method == "adjoint":
        raise CannotLower("its gradients come from the adjoint equations")
    if method == "super":  # Norse 1.1's takes alpha and does not use it
        return FastSigmoid(1.0), "fast sigmoid, slope 1"
    return STAND_IN, f"arctan, alpha {STAND_IN.alpha}, in place of {method}"


def _conventions(neuron: Any, reset: Reset, scaled: str, surrogate: str) -> dict[str, Any]:
    return {
        "neuron": f"norse.{type(neuron).__name__}",
        "fires": "above the threshold",
        "reset": reset,
        "reset_when": "with the spike",
        "input": scaled,
        "surrogate": surrogate,
    }
