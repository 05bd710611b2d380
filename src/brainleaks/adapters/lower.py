"""Networks of known layers on the fused operator, and the proof that they answer as before.

What can be lowered is a chain of layers: affine ones (linear, convolution, with batch norm folded
into them), pooling, flattening, and neurons. The neurons of each framework are stated as a
:class:`Neuron`, exactly; where the operator of :mod:`brainleaks.neuron` cannot express one,
:class:`CannotLower` says why and the network is audited as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.networks import Response
from brainleaks.neuron import LIF, ArcTan
from brainleaks.neuron.dynamics import Reset, Surrogate
from brainleaks.neuron.synapse import spike_linear

Affine = nn.Linear | nn.Conv1d | nn.Conv2d
Pool = nn.AvgPool2d | nn.MaxPool2d
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d

#: Stands in for a surrogate that the operator has not; only gradients depend on it.
STAND_IN = ArcTan(2.0)

#: Why a leaking neuron with a subtractive reset cannot be lowered, in every framework but snnTorch.
LEAKS_LAST = (
    "it applies the leak after the subtractive reset, which the fused kernel does not support"
)

# membranes are sums in another order: so far apart, relative to the largest, they may be
_TOLERANCE = 1e-4


class CannotLower(Exception):  # noqa: N818 - it is no error: the network is audited as it is
    """Why a network cannot be lowered, in one clause."""


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
    """A threshold measured from where the membrane rests.

    Raises:
        CannotLower: if it is not above: the operator's neuron would be at rest in a state of reset.
    """
    if threshold < 0:
        raise CannotLower("its threshold is below its resting potential")
    return threshold


def uniform(name: str, value: Tensor) -> float:
    """The one value of a parameter of a layer's neurons.

    Raises:
        CannotLower: if it has several: the operator's neurons of a layer are alike.
    """
    if value.unique().numel() != 1:
        raise CannotLower(f"{name} varies between neurons of a layer")
    return float(value.detach().flatten()[0])


def one_rest(leak: float, reset: float) -> None:
    """See that a membrane is reset to where it leaks to.

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
        while affine < len(layers) and _is_affine(layers[affine]):
            affine += 1
        self.first = nn.ModuleList(layers[:affine])
        self.rest = nn.ModuleList(layers[affine:])
        self.activations = self._count() * (steps or 1)

    def forward(self, inputs: Tensor) -> Response:
        return self.respond(self.drive(inputs))

    def drive(self, inputs: Tensor, *, bias: bool = True) -> Tensor:
        """What the first neurons or pooling see; linear without the bias.

        ``(T, B, *input_shape)`` or ``(B, *input_shape)`` in, time and batch first out.
        """
        lead = 2 if self.spiking else 1
        rows = inputs.flatten(0, lead - 1)
        for layer in self.first:
            rows = _affine(layer, rows, bias)
        return rows.reshape(*inputs.shape[:lead], *rows.shape[1:])

    def respond(self, entry: Tensor) -> Response:
        """Output layer's answer to what :meth:`drive` gave."""
        trace = entry if self.steps is None else entry.expand(self.steps, *entry.shape)
        response = Response(None, trace)
        for layer in self.rest:
            if isinstance(layer, Neurons):
                response = layer(trace)
                trace = response.membrane if response.spikes is None else response.spikes
            else:
                rows = _affine(layer, trace.flatten(0, 1), bias=True)
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
        """Values kept for one input and time step during a backward pass, about."""
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
                _scale(_affine_before(layers), part.gain)
            layers.append(Neurons(part, shown=i == len(parts) - 1))
        elif isinstance(part, BatchNorm):
            _fold(layers[-1] if layers else None, part)
        else:
            layers.append(_plain(part))
    # modules are built wanting gradients; a target's weights never need any
    return Lowered(layers, input_shape, steps).requires_grad_(False).eval()


@torch.no_grad()
def compare(original: Response, lowered: Response) -> dict[str, Any]:
    """Hold a lowered network's answer against the original's, on the same samples.

    Returns:
        ``compared`` (which trace), ``identical`` (whether the network may be lowered),
        ``differing`` and ``firing`` (spikes that differ, and the share of those that could be
        which are, where spikes are compared) and ``largest_difference`` (of the membrane, or of
        what the original answers with instead; ``None`` where their shapes differ or a value is
        not finite).
    """
    shape = lowered.membrane.shape
    if (
        original.spikes is not None
        and lowered.spikes is not None
        and original.spikes.shape == shape
    ):
        differing = int((original.spikes != lowered.spikes).sum())
        firing = round(float(original.spikes.mean()), 6)
        found: dict[str, Any] = {"differing": differing, "firing": firing}
        found["compared"] = "output spikes"
        distance, close = _distance(original.membrane, lowered.membrane)
        if torch.equal(original.membrane, original.spikes):  # it answers with spikes alone
            return found | {"identical": differing == 0, "largest_difference": float(differing > 0)}
        return found | {"identical": differing == 0 and close, "largest_difference": distance}
    if len(original.membrane) == 1 != len(lowered.membrane):
        return _compare_pooled(original.membrane[0], lowered)
    distance, close = _distance(original.membrane, lowered.membrane)
    return {"compared": "output trace", "identical": close, "largest_difference": distance}


def _compare_pooled(answer: Tensor, lowered: Response) -> dict[str, Any]:
    """An answer without time, ``(B, C)``: a mean or sum over time of a lowered trace."""
    found = {}
    for name, trace in (("spikes", lowered.spikes), ("membrane", lowered.membrane)):
        if trace is not None:
            found[f"mean over time of the output {name}"] = _distance(answer, trace.mean(0))
            found[f"sum over time of the output {name}"] = _distance(answer, trace.sum(0))
    compared, (distance, close) = min(
        found.items(), key=lambda item: math.inf if item[1][0] is None else item[1][0]
    )
    return {"compared": compared, "identical": close, "largest_difference": distance}


def _distance(a: Tensor, b: Tensor) -> tuple[float | None, bool]:
    distance = float((a - b).abs().max()) if a.shape == b.shape else math.inf
    if not math.isfinite(distance):
        return None, False
    return distance, distance <= _TOLERANCE * max(1.0, float(a.abs().max()))


def _is_affine(layer: nn.Module) -> bool:
    return isinstance(layer, Affine | nn.AvgPool2d | nn.Flatten | nn.Unflatten)


def _affine(layer: nn.Module, rows: Tensor, bias: bool) -> Tensor:
    """A layer that keeps no state; without its bias if so asked."""
    if isinstance(layer, nn.Linear):
        zero = torch.zeros_like(layer.bias)
        return spike_linear(rows, layer.weight, layer.bias if bias else zero)
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        offset = layer.bias if bias else None
        return torch.as_tensor(layer._conv_forward(rows, layer.weight, offset))
    return torch.as_tensor(layer(rows))


def _affine_before(layers: Sequence[nn.Module]) -> Affine:
    for layer in reversed(layers):
        if isinstance(layer, Affine):
            return layer
        if isinstance(layer, Neurons):
            break
    raise CannotLower("neurons that scale their input come straight after other neurons")


@torch.no_grad()
def _scale(layer: Affine, gain: float) -> None:
    if not gain > 0:
        raise CannotLower(f"neurons multiply their input by {gain:g}")
    layer.weight.mul_(gain)
    if layer.bias is not None:
        layer.bias.mul_(gain)


@torch.no_grad()
def _fold(layer: nn.Module | None, norm: BatchNorm) -> None:
    if not isinstance(layer, Affine):
        raise CannotLower("batch norm does not directly follow a linear or convolutional layer")
    if norm.running_mean is None or norm.running_var is None:
        raise CannotLower("batch norm keeps no running statistics, so it normalises by each batch")
    factor = (norm.running_var + norm.eps).rsqrt()
    shift = -norm.running_mean * factor
    if norm.affine:
        factor, shift = factor * norm.weight, shift * norm.weight + norm.bias
    layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.ndim - 1)))
    if layer.bias is not None:  # lowered layers have one
        layer.bias.mul_(factor).add_(shift)


def _plain(layer: nn.Module) -> Any:
    """The layer as torch has it, whatever a framework made of it; with a bias."""
    if isinstance(layer, nn.Linear):
        shape = (layer.in_features, layer.out_features)
        return _weighted(nn.Linear(*shape, device="meta"), layer)
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        kind: Any = nn.Conv1d if isinstance(layer, nn.Conv1d) else nn.Conv2d
        plain = kind(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            padding_mode=layer.padding_mode,
            device="meta",
        )
        return _weighted(plain, layer)
    if isinstance(layer, nn.MaxPool2d):
        settings = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        return nn.MaxPool2d(*settings, ceil_mode=layer.ceil_mode)
    if isinstance(layer, nn.AvgPool2d):
        return nn.AvgPool2d(
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.ceil_mode,
            layer.count_include_pad,
            layer.divisor_override,
        )
    if isinstance(layer, nn.Flatten):
        return nn.Flatten(layer.start_dim, layer.end_dim)
    if isinstance(layer, nn.Unflatten):
        return nn.Unflatten(layer.dim, layer.unflattened_size)
    raise CannotLower(f"{type(layer).__name__} is not supported by the fused network")


def _weighted(plain: Any, layer: Affine) -> Any:
    weight = layer.weight.detach().clone()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().clone()
    plain.weight, plain.bias = nn.Parameter(weight), nn.Parameter(bias)
    return plain
