"""Neurons of every framework, in the terms of the fused operator.

The neurons of each framework are stated as a :class:`Neuron`, exactly; where the operator of
:mod:`brainleaks.neuron` cannot express one, :class:`CannotLower` says why.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.networks import Response
from brainleaks.neuron import LIF, ArcTan, RecurrentLIF
from brainleaks.neuron.dynamics import Reset, Surrogate

#: Replaces a surrogate that the operator does not support; only gradients depend on it.
STAND_IN = ArcTan(2.0)

#: Why a leaking neuron with a subtractive reset cannot be lowered, in every framework but snnTorch.
LEAKS_LAST = (
    "it applies the leak after the subtractive reset, which the fused kernel does not support"
)


#: Axes of ``(T, B, C, H, W)``.
_OF_FRAMES = 5


@dataclass(frozen=True)
class Neuron:
    """A layer of neurons, in the terms of :func:`brainleaks.neuron.dynamics`.

    Args:
        beta: share of the membrane kept from one step to the next.
        threshold: membrane above which, strictly, the neuron fires.
        reset: what firing does to the membrane.
        reset_delay: whether it does so one step after the spike.
        gain: what the input current is multiplied by.
        synapse: share of the synaptic current kept; ``None`` where the current is the input.
        fires: ``False`` for a leaky integrator, which answers with its membrane.
        rest: what the membrane is measured from, here and by the threshold.
        charged: whether the membrane is shown as it decided the spike, before its reset. Where a
            framework shows none, that is the telling one: after a reset to zero, those that fire
            most would show least.
        recurrent: what its spikes of the step before add to the current; ``None`` for nothing. The
            reset is then by subtraction, one step after the spike.
        surrogate: what stands for the spike's derivative.
        conventions: how the framework's own neuron is defined, for the report.
    """

    beta: float
    threshold: float = 1.0
    reset: Reset = "subtract"
    reset_delay: bool = True
    gain: float = 1.0
    synapse: float | None = None
    fires: bool = True
    rest: float = 0.0
    charged: bool = False
    recurrent: nn.Linear | None = None
    surrogate: Surrogate = STAND_IN
    conventions: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, share in (("membrane", self.beta), ("synapse", self.synapse)):
            if share is not None and not 0.0 <= share <= 1.0:
                raise CannotLower(
                    f"its {name} decays by a factor of {share:g} per step; expected 0 to 1"
                )
        if self.recurrent is not None and (self.reset != "subtract" or not self.reset_delay):
            raise CannotLower(
                "it is recurrent, which the fused kernel supports for a reset by subtraction one "
                "step after the spike only"
            )


def above_rest(threshold: float) -> float:
    """The threshold relative to the resting potential.

    Raises:
        CannotLower: if it is not above: the operator's neuron would be at rest in a state of reset.
    """
    if threshold < 0:
        raise CannotLower("its threshold is below its resting potential")
    return threshold


def uniform(name: str, value: Tensor) -> float:
    """The value of a parameter that all neurons of a layer share.

    Raises:
        CannotLower: if it has several: the operator's neurons of a layer are alike.
    """
    if value.unique().numel() != 1:
        raise CannotLower(f"{name} varies between neurons of a layer")
    return float(value.detach().flatten()[0])


def one_rest(leak: float, reset: float) -> None:
    """Check that the membrane is reset to its resting potential.

    Raises:
        CannotLower: if it is not: the operator's membrane has one rest.
    """
    if reset != leak:
        raise CannotLower(
            f"it resets to {reset:g} but leaks to {leak:g}; the fused kernel has one resting "
            "potential"
        )


class Neurons(nn.Module):
    """A layer of :class:`Neuron`: currents ``(T, B, ...)`` to spikes (or ``None``) and membrane.

    The gain is not applied here: it is folded into the layer before. The membrane is
    that of :class:`Neuron` where it is ``shown``.
    """

    def __init__(self, neuron: Neuron, *, shown: bool) -> None:
        super().__init__()
        self.fires = neuron.fires
        self.rest = neuron.rest if shown or not neuron.fires else 0.0
        self.charged = neuron.charged and shown
        self.synapse = None
        if neuron.synapse is not None:
            # a synapse is a membrane that never fires
            self.synapse = LIF(beta=neuron.synapse, surrogate=neuron.surrogate, reset="none")
        self.bias: Tensor | None = None
        if neuron.recurrent is not None:
            self.membrane: LIF = _recurrent(neuron, neuron.recurrent)
            if neuron.recurrent.bias is not None:
                self.bias = nn.Parameter(neuron.recurrent.bias.detach().clone())
            return
        self.membrane = LIF(
            beta=neuron.beta,
            surrogate=neuron.surrogate,
            threshold=neuron.threshold,
            reset=neuron.reset if neuron.fires else "none",
            reset_delay=neuron.reset_delay,
        )

    def forward(self, current: Tensor) -> Response:
        frames = current.ndim == _OF_FRAMES and not isinstance(self.membrane, RecurrentLIF)
        if frames:  # channels lie side by side in memory, as convolutions like
            rows = current.permute(0, 1, 3, 4, 2).contiguous()
            spikes, membrane = self._respond(rows)
            kept = None if spikes is None else spikes.permute(0, 1, 4, 2, 3)
            return Response(kept, membrane.permute(0, 1, 4, 2, 3))
        return self._respond(current)

    def _respond(self, current: Tensor) -> Response:
        if self.synapse is not None:
            current = self.synapse(current)[1]
        if self.bias is not None:
            current = current + self.bias
        spikes, membrane = self.membrane(current)
        if self.charged:
            before = torch.cat([torch.zeros_like(membrane[:1]), membrane[:-1]])
            membrane = self.membrane.beta * before + current
        membrane = membrane + self.rest if self.rest else membrane
        return Response(spikes if self.fires else None, membrane)


def _recurrent(neuron: Neuron, weights: nn.Linear) -> RecurrentLIF:
    layer = RecurrentLIF(
        weights.in_features,
        beta=neuron.beta,
        surrogate=neuron.surrogate,
        threshold=neuron.threshold,
    )
    layer.recurrent.weight = nn.Parameter(weights.weight.detach().clone())
    return layer


def neuron_of(framework: ModuleType, layer: nn.Module) -> Neuron:
    """A framework's layer of neurons in terms of the operator.

    Raises:
        CannotLower: if the operator has no such neuron.
    """
    neuron: Neuron = framework.describe(layer)
    return neuron
