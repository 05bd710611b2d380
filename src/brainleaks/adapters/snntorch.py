"""snnTorch: single-step neurons that keep their state or receive it.

``snntorch.Leaky`` 1.0.0 fires strictly above its threshold, takes its input undecayed, and resets
by subtraction, to zero or not at all, one step after the spike or (``reset_delay=False``) in it.
It is the neuron of :mod:`brainleaks.neuron`, whatever its settings; ``RLeaky`` is the recurrent
one, where its reset is by subtraction and delayed, and its connections are linear. ``Synaptic``
puts a leaky current before it, ``I[t] = alpha*I[t-1] + x[t]``; its reset to zero also clears the
current.
"""

import inspect
from typing import Any

from torch import nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import STAND_IN, Neuron, uniform
from brainleaks.adapters.order import TIME_FIRST, Order
from brainleaks.errors import InputError
from brainleaks.neuron import ArcTan, FastSigmoid
from brainleaks.neuron.dynamics import Reset, Surrogate

NAME = "snntorch"
_RESETS: dict[str, Reset] = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is a layer of snnTorch's neurons."""
    import snntorch

    return isinstance(module, snntorch.SpikingNeuron | snntorch.LeakyParallel)


def makes_one_step(module: nn.Module) -> bool:
    """Whether a module is a layer of neurons that advances one time step a call.

    All do but ``LeakyParallel``, which takes a whole recording.
    """
    import snntorch

    return isinstance(module, snntorch.SpikingNeuron)


def forget(network: nn.Module) -> None:
    """Reset the state of all neurons."""
    neuron: Any
    for neuron in network.modules():
        if is_neuron(neuron) and hasattr(neuron, "reset_mem"):
            neuron.reset_mem()


def describe(neuron: Any) -> Neuron:
    """A layer of snnTorch's neurons in terms of the operator.

    Raises:
        CannotLower: if the operator has no such neuron.
    """
    import snntorch

    if type(neuron) not in (snntorch.Leaky, snntorch.Synaptic, snntorch.RLeaky):
        raise CannotLower(
            f"snnTorch's {type(neuron).__name__} is not supported by the fused kernel"
        )
    for name in ("inhibition", "state_quant"):
        if getattr(neuron, name):
            raise CannotLower(f"{name} is on, which the fused kernel does not support")
    if uniform("graded_spikes_factor", neuron.graded_spikes_factor) != 1.0:
        raise CannotLower("its spikes are graded")
    reset = _RESETS[neuron.state_function.__name__]
    synaptic = isinstance(neuron, snntorch.Synaptic)
    if synaptic and reset == "zero":
        raise CannotLower("its reset to zero clears the synaptic current too")
    recurrent = neuron.recurrent if isinstance(neuron, snntorch.RLeaky) else None
    if recurrent is not None and type(recurrent) is not nn.Linear:
        raise CannotLower(f"its recurrent connections are {type(recurrent).__name__}")
    surrogate, surrogate_name = _surrogate(neuron.spike_grad)
    return Neuron(
        beta=min(max(uniform("beta", neuron.beta), 0.0), 1.0),  # as its forward pass clips it
        threshold=uniform("threshold", neuron.threshold),
        reset=reset,
        reset_delay=neuron.reset_delay,
        synapse=min(max(uniform("alpha", neuron.alpha), 0.0), 1.0) if synaptic else None,
        recurrent=recurrent,
        surrogate=surrogate,
        conventions={
            "neuron": f"snntorch.{type(neuron).__name__}",
            "fires": "above the threshold",
            "reset": reset,
            "reset_when": "one step after the spike" if neuron.reset_delay else "with the spike",
            "input": "undecayed",
            "surrogate": surrogate_name,
        },
    )


def orders(module: nn.Module) -> tuple[Order, ...]:
    """The order of axes that its networks take."""
    return (TIME_FIRST,)


def resize(network: nn.Module, batch: int) -> None:
    """Do nothing: its layers hold no batch."""


def check(network: nn.Module) -> None:
    """Refuse neurons whose weights contradict their settings.

    Raises:
        InputError: if a state dict gave a neuron another reset than it was built with: snnTorch
            then follows the one in one place and the other in another.
    """
    import snntorch

    names = {number: name for name, number in snntorch.SpikingNeuron.reset_dict.items()}
    for name, neuron in network.named_modules():
        built = _RESETS.get(getattr(getattr(neuron, "state_function", None), "__name__", ""))
        if built and names[int(neuron.reset_mechanism_val)] != built:
            raise InputError(
                f"the weights say that {name} resets by "
                f"{names[int(neuron.reset_mechanism_val)]!r}, the factory builds it with "
                f"reset_mechanism={built!r}; build it as it was trained."
            )


def _surrogate(function: Any) -> tuple[Surrogate, str]:
    """The surrogate of a closure made by ``snntorch.surrogate``, or the stand-in."""
    made_by = getattr(function, "__qualname__", repr(function)).split(".")[0]
    ours = getattr(function, "__module__", None) == "snntorch.surrogate"
    settings = inspect.getclosurevars(function).nonlocals if ours else {}
    if made_by == "fast_sigmoid" and settings["slope"] > 0:
        return FastSigmoid(float(settings["slope"])), f"fast sigmoid, slope {settings['slope']}"
    if made_by == "atan" and settings["alpha"] > 0:
        return ArcTan(float(settings["alpha"])), f"arctan, alpha {settings['alpha']}"
    return STAND_IN, f"arctan, alpha {STAND_IN.alpha}, in place of {made_by}"


def version() -> str:
    """The version of the installed snnTorch."""
    import snntorch

    return str(snntorch.__version__)
