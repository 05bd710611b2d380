"""Lowering: networks of supported layers on the fused operator.

What can be lowered is a chain of layers: affine ones (linear, convolution, with batch norm folded
into them), pooling, flattening, and neurons. The neurons of each framework are stated as a
:class:`Neuron`, exactly; where the operator of :mod:`brainleaks.neuron` cannot express one,
:class:`CannotLower` says why and the network is audited as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.adapters.layers import (
    Affine,
    BatchNorm,
    CannotLower,
    affine,
    fold,
    is_affine,
    plain,
    scale,
)
from brainleaks.networks import Response
from brainleaks.neuron import LIF, ArcTan
from brainleaks.neuron.dynamics import Reset, Surrogate

#: Replaces a surrogate that the operator does not support; only gradients depend on it.
STAND_IN = ArcTan(2.0)

#: Why a leaking neuron with a subtractive reset cannot be lowered, in every framework but snnTorch.
LEAKS_LAST = (
    "it applies the leak after the subtractive reset, which the fused kernel does not support"
)


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
    surrogate: Surrogate = STAND_IN
    conventions: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, share in (("membrane", self.beta), ("synapse", self.synapse)):
            if share is not None and not 0.0 <= share <= 1.0:
                raise CannotLower(
                    f"its {name} decays by a factor of {share:g} per step; expected 0 to 1"
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

    The gain is not applied here: :func:`lower` folds it into the layer before. The membrane is
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
        self.membrane = LIF(
            beta=neuron.beta,
            surrogate=neuron.surrogate,
            threshold=neuron.threshold,
            reset=neuron.reset if neuron.fires else "none",
            reset_delay=neuron.reset_delay,
        )

    def forward(self, current: Tensor) -> Response:
        if self.synapse is not None:
            current = self.synapse(current)[1]
        spikes, membrane = self.membrane(current)
        if self.charged:
            before = torch.cat([torch.zeros_like(membrane[:1]), membrane[:-1]])
            membrane = self.membrane.beta * before + current
        membrane = membrane + self.rest if self.rest else membrane
        return Response(spikes if self.fires else None, membrane)


class Lowered(nn.Module):
    """A chain of layers on the fused operator, all time steps at once.

    The leading affine layers are the network's entry: an attack can add up changes of the inputs,
    or gradients of many inputs, behind them (see :class:`brainleaks.target.Target`).

    Args:
        layers: affine layers, pooling, flattening and :class:`Neurons`, in order.
        input_shape: of one input.
        steps: how many time steps an image is shown for; ``None`` for inputs that are spike trains.
    """

    def __init__(
        self, layers: Sequence[nn.Module], input_shape: tuple[int, ...], steps: int | None
    ) -> None:
        super().__init__()
        self.spiking = steps is None
        self.input_shape = tuple(input_shape)
        self.steps = steps
        affine = 0
        while affine < len(layers) and is_affine(layers[affine]):
            affine += 1
        self.first = nn.ModuleList(layers[:affine])
        self.rest = nn.ModuleList(layers[affine:])
        self.activations = self._count() * (steps or 1)

    def forward(self, inputs: Tensor) -> Response:
        return self.respond(self.drive(inputs))

    def drive(self, inputs: Tensor, *, bias: bool = True) -> Tensor:
        """The input of the first neurons or pooling; linear without the bias.

        ``(T, B, *input_shape)`` or ``(B, *input_shape)`` in, time and batch first out.
        """
        lead = 2 if self.spiking else 1
        rows = inputs.flatten(0, lead - 1)
        for layer in self.first:
            rows = affine(layer, rows, bias)
        return rows.reshape(*inputs.shape[:lead], *rows.shape[1:])

    def respond(self, entry: Tensor) -> Response:
        """The output layer's response to the result of :meth:`drive`."""
        trace = entry if self.steps is None else entry.expand(self.steps, *entry.shape)
        response = Response(None, trace)
        for layer in self.rest:
            if isinstance(layer, Neurons):
                response = layer(trace)
                trace = response.membrane if response.spikes is None else response.spikes
            else:
                rows = affine(layer, trace.flatten(0, 1), bias=True)
                trace = rows.unflatten(0, trace.shape[:2])
                response = Response(None, trace)
        return response

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Transpose of :meth:`drive`: a gradient on the entry to one on the inputs."""
        lead = 2 if self.spiking else 1
        with torch.enable_grad():
            inputs = gradient.new_zeros(*gradient.shape[:lead], *self.input_shape)
            inputs.requires_grad_()
            entry = self.drive(inputs, bias=False)
            (pulled,) = torch.autograd.grad(entry, inputs, gradient)
        return torch.as_tensor(pulled)

    def _count(self) -> int:
        """Approximate number of values kept per input and time step for a backward pass."""
        weight = next(self.parameters(), torch.empty(0))
        rows = weight.new_zeros(1, *self.input_shape)
        total = rows.numel()
        with torch.no_grad():
            for layer in (*self.first, *self.rest):
                if isinstance(layer, Neurons):
                    spikes, membrane = layer(rows.unsqueeze(0))
                    rows = (membrane if spikes is None else spikes)[0]
                    total += 3 * rows.numel()
                else:
                    rows = layer(rows)
                    total += rows.numel()
        return total


def lower(
    parts: Sequence[nn.Module | Neuron], input_shape: tuple[int, ...], steps: int | None
) -> Lowered:
    """Build the fused network of a chain of layers and neurons; weights are copied.

    Batch norm is folded into the affine layer before it, and so is what a neuron multiplies its
    input by: pooling, which may lie between, commutes with a positive factor.

    Raises:
        CannotLower: if there is no affine layer to fold into, or no neuron at all.
    """
    if not any(isinstance(part, Neuron) for part in parts):
        raise CannotLower("it has no spiking neurons")
    layers: list[nn.Module] = []
    for i, part in enumerate(parts):
        if isinstance(part, Neuron):
            if part.gain != 1.0:
                scale(_affine_before(layers), part.gain)
            layers.append(Neurons(part, shown=i == len(parts) - 1))
        elif isinstance(part, BatchNorm):
            fold(layers[-1] if layers else None, part)
        else:
            layers.append(plain(part))
    # modules are built wanting gradients; a target's weights never need any
    return Lowered(layers, input_shape, steps).requires_grad_(False).eval()


def _affine_before(layers: Sequence[nn.Module]) -> Affine:
    for layer in reversed(layers):
        if isinstance(layer, Affine):
            return layer
        if isinstance(layer, Neurons):
            break
    raise CannotLower("neurons that scale their input come straight after other neurons")
