"""Smooth inversion: images, or fields of spike probabilities, under a prior of smoothness."""

import math
from contextlib import nullcontext
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.descent import adam, cosine
from brainleaks.attacks.fields import ask, presented
from brainleaks.attacks.objectives import contrast, negative_log_likelihood
from brainleaks.attacks.priors import smooth, total_variation
from brainleaks.monitor import Monitor
from brainleaks.neuron import FastSigmoid
from brainleaks.randomness import draw_seed
from brainleaks.target import Access, Target

#: Draws that a look at the target is averaged over.
_LOOKS = 4
_TINY = 1e-12
#: A class's own axes of a field ``(K, B, C, H, W)``.
_EACH = (0, 2, 3, 4)


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class SmoothInversion:
    """Reconstruct images, or spike probabilities over time, under a smoothness prior.

    The unknown is an image ``x_c`` in (0, 1) at each of a few time steps, the knots. Between knots,
    probabilities are interpolated; a single knot is an image under a rate code. Each image is the
    sum of a part that all classes share and a part of the class::

        x_c = sigmoid(common + own_c)

    ``common`` is initialised to ``logit(rate)`` minus ``ground`` times the variance of the first
    layer's weights over its units. Dark pixels have the largest variance, because Adam divides
    each weight's update by the magnitude of its gradients. ``own_c`` is initialised to ``look``
    times a first gradient estimate: the gradient of the class's membrane potential minus its mean
    over classes, averaged over draws from ``sigmoid(common)`` and multiplied by it, which undoes
    Adam's normalisation. Both are blurred and scaled to a standard deviation of 1. Adam, with a
    cosine schedule, then minimises::

        mean over draws z ~ Bernoulli(x_c) of -mean_t log softmax(U[t](z))_c
            + variation * TV(x_c) + sparsity * mean(x_c)

    Gradients pass through the draws as :func:`~brainleaks.attacks.fields.ask` says, and through
    neurons by a surrogate flatter than the one they were trained with, as a steep one hides most of
    them. An ordinary target is queried with the images themselves. ``common`` is learned from all
    requested classes together.

    The prior removes fine detail, which the gradient retains. In the last step, each class's
    deviation from ``sigmoid(common)`` is therefore blended, with weight ``detail``, with a second
    gradient estimate that is scaled to the same standard deviation.

    Args:
        iterations: steps.
        time_steps: length ``T`` of the spike trains; an ordinary target has none.
        knots: images in that time.
        draws: spike trains drawn of each class in each step.
        rate: probability that the search starts from.
        look: weight of the first gradient estimate.
        blur: width, in pixels, of the blur of that estimate and of the variance.
        ground: weight of the variance, which is left out if the first layer is not linear.
        detail: weight of the second gradient estimate in a class's deviation, from 0 to 1.
        detail_blur: width of its blur, in pixels.
        learning_rate: step size of ``own``, in logits.
        common_rate: step size of ``common``.
        slope: of the fast sigmoid that neurons are differentiated by; ``None`` keeps their own.
        variation: weight of the total variation, summed over pixels and averaged over knots, in the
            first step and in the last; it changes geometrically.
        sparsity: weight of the mean probability.

    Reference: ours. Total variation as a prior of inversion: Mahendran and Vedaldi 2015. One look
    at a linear response: Simonyan, Vedaldi and Zisserman 2014.

    Example:
        >>> from brainleaks import FastSigmoid
        >>> from brainleaks.networks import SpikingMLP
        >>> network = SpikingMLP((1, 8, 8), 10, hidden=50, beta=0.7, surrogate=FastSigmoid(40))
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10)
        >>> attack = SmoothInversion(iterations=5)
        >>> rates = attack(target, torch.arange(10))
        >>> tuple(rates.shape), 0 <= float(rates.min()) <= float(rates.max()) <= 1
        ((25, 10, 1, 8, 8), True)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    iterations: Annotated[int, Ge(1)] = 60
    time_steps: Annotated[int, Ge(1)] = 25
    knots: Annotated[int, Ge(1)] = 1
    draws: Annotated[int, Ge(1)] = 1
    rate: Annotated[float, Gt(0), Lt(1)] = 0.5
    look: Annotated[float, Ge(0)] = 0.6
    blur: Annotated[float, Ge(0)] = 1.5
    ground: Annotated[float, Ge(0)] = 0.5
    detail: Annotated[float, Ge(0), Le(1)] = 0.5
    detail_blur: Annotated[float, Ge(0)] = 1.0
    learning_rate: Annotated[float, Gt(0)] = 0.02
    common_rate: Annotated[float, Ge(0)] = 0.1
    slope: Annotated[float, Gt(0)] | None = 10.0
    variation: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.003, 0.001)
    sparsity: Annotated[float, Ge(0)] = 0.0
    attack: Literal["smooth-inversion"] = "smooth-inversion"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Spike probabilities for the classes ``labels``, or images of an ordinary target.

        Returns:
            ``(T, len(labels), C, H, W)``, or ``(len(labels), C, H, W)``; in [0, 1].

        Raises:
            AccessError: if the target does not grant gradients.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        seed = draw_seed(generator)
        labels = labels.to(target.device)
        flatter = target.differentiated_by(FastSigmoid(self.slope)) if self.slope else nullcontext()
        with flatter:
            state = monitor.resume(self._start(target, labels, seed))
            for iteration in monitor.remaining(self.iterations):
                costs, gradient = ask(
                    target,
                    _field(state),
                    labels,
                    negative_log_likelihood,
                    time_steps=self.time_steps,
                    draws=self.draws,
                    seed=seed,
                    purpose=iteration,
                )
                state = self._step(state, gradient, iteration)
                monitor.advance(iteration, state, cost=float(costs.mean()))
            field = self._detailed(target, labels, state, seed)
        return presented(field, target, self.time_steps)

    def _start(self, target: Target, labels: Tensor, seed: int) -> dict[str, Tensor]:
        knots = self.knots if target.spiking else 1
        flat = torch.full((knots, 1, *target.input_shape), self.rate, device=target.device)
        common = flat.logit() + self._ground(target)
        own = torch.zeros_like(common).repeat_interleave(len(labels), 1)
        if self.look:
            shared = torch.sigmoid(common)
            own = self.look * self._look(target, labels, shared, self.blur, seed, "look")
        return {
            "own": own,
            "common": common,
            "own_moments": torch.stack([torch.zeros_like(own)] * 2),
            "common_moments": torch.stack([torch.zeros_like(common)] * 2),
        }

    def _ground(self, target: Target) -> Tensor:
        """Logits that are low where the first layer's weights vary, ``(C, H, W)``, or zeros."""
        weights = target.first_weights() if self.ground else None
        if weights is None:
            return torch.zeros(target.input_shape, device=target.device)
        spread = smooth(weights.var(0, correction=0).unsqueeze(0), self.blur)
        return -self.ground * _standardised(spread, (1, 2, 3))[0]

    def _look(
        self, target: Target, labels: Tensor, shared: Tensor, blur: float, seed: int, purpose: str
    ) -> Tensor:
        """What lifts each class above all the others, seen from a field that all share.

        Times that field, as Adam has divided what the weights learned of a pixel by its size.
        """
        _, seen = ask(
            target,
            shared.repeat_interleave(len(labels), 1),
            labels,
            contrast,
            time_steps=self.time_steps,
            draws=_LOOKS,
            seed=seed,
            purpose=purpose,
        )
        return _standardised(smooth((shared * seen).flatten(0, 1), blur).view_as(seen), _EACH)

    def _detailed(
        self, target: Target, labels: Tensor, state: dict[str, Tensor], seed: int
    ) -> Tensor:
        """The field, a share of how each class departs from what is common from a last look."""
        field, shared = _field(state), torch.sigmoid(state["common"])
        if not self.detail:
            return field
        seen = self._look(target, labels, shared, self.detail_blur, seed, "detail")
        own = field - shared
        own = (1 - self.detail) * own + self.detail * own.std(_EACH, keepdim=True) * seen
        return (shared + own).clamp(0, 1)

    def _step(
        self, state: dict[str, Tensor], gradient: Tensor, iteration: int
    ) -> dict[str, Tensor]:
        """Own and common logits, moved along the cost's gradient on the field and the prior's."""
        moved = {name: state[name].detach().requires_grad_() for name in ("own", "common")}
        cost = self._along(_field(state | moved), gradient, iteration)
        gradients = torch.autograd.grad(cost, list(moved.values()))
        rates = {"own": self.learning_rate, "common": self.common_rate}
        shrunk = cosine(iteration, self.iterations)
        found = dict(state)
        for (name, value), slope in zip(moved.items(), gradients, strict=True):
            found[name], found[f"{name}_moments"] = adam(
                value.detach(), slope, state[f"{name}_moments"], iteration, shrunk * rates[name]
            )
        return found

    def _along(self, field: Tensor, gradient: Tensor, iteration: int) -> Tensor:
        """A cost whose gradient on the field is the objective's, given, and the prior's."""
        first, last = self.variation
        weight = first * math.pow(last / first, iteration / max(1, self.iterations - 1))
        variation = total_variation(field.flatten(0, 1)).sum() / len(field)
        firing = field.mean((0, *range(2, field.ndim))).sum()
        return (field * gradient).sum() + weight * variation + self.sparsity * firing


def _field(state: dict[str, Tensor]) -> Tensor:
    field: Tensor = torch.sigmoid(state["common"] + state["own"])
    return field


def _standardised(values: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Less their mean, over their standard deviation."""
    values = values - values.mean(dims, keepdim=True)
    return values / values.std(dims, keepdim=True).clamp(min=_TINY)
