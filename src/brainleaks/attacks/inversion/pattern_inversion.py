"""Pattern inversion: what a network has learned, read off its weights and a few of its answers."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.fields import ask, presented
from brainleaks.attacks.objectives import log_odds
from brainleaks.attacks.priors import smooth
from brainleaks.monitor import Monitor
from brainleaks.neuron import FastSigmoid
from brainleaks.randomness import draw_seed
from brainleaks.target import Access, Target

_TINY = 1e-12
_LEAST = 1e-6


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class PatternInversion:
    """Reconstruct sparse inputs, such as digits or events, from their traces in the weights.

    Where input is mostly silent, three traces of the training data lie open. The first layer's
    weights grow where input comes and stay as they were drawn where none ever does: their median
    over the layer's units, blurred, looks like the *mean* input, the ground ``m``. The gradient of
    a class's log odds says how the class departs from it. And how the weights vary from unit to
    unit says how input varies. So the attack makes

        x_c = rate * m * (1 + theta_c)

    and increases ``theta_c`` by ``strength / looks`` in each of a few iterations (looks), along the
    pattern at ``x_c``, until the class reaches the log-odds ``enough``. A class that the target
    distinguishes easily from the others stays near the mean input; one that it confuses moves far.

    A gradient is a filter, which weighs pixels by how they tell classes apart; the pattern that a
    filter stands for is the input's covariance times it (Haufe et al. 2014). Here the pattern is
    computed by averaging the gradient over draws, subtracting its mean over classes, and
    multiplying by the covariance of the first layer's weights over its units, since training adds
    multiples of its inputs to them. It is then blurred, because neighbouring pixels are correlated,
    and scaled to a standard deviation of 1.

    If the first layer is not linear, ``m`` is uniform and the covariance is left out; ``m`` is also
    uniform if no median weight is positive. :class:`~brainleaks.attacks.SmoothInversion` suits such
    networks better.

    Args:
        looks: iterations; each asks for gradients once.
        time_steps: length ``T`` of the spike trains; an ordinary target has none.
        draws: spike trains per class and iteration.
        rate: mean of the probabilities, or of an ordinary target's pixels.
        strength: largest deviation of a class from ``m``, in standard deviations of the pattern.
        enough: log-odds at which a class stops; ``None`` for no limit.
        covariance: whether the pattern uses the covariance of the weights.
        blur: width of both blurs, in pixels.
        slope: of the fast sigmoid that neurons are differentiated by.

    Reference: ours. Patterns and filters: Haufe et al. 2014, On the interpretation of weight
    vectors of linear models in multivariate neuroimaging.

    Example:
        >>> from brainleaks.networks import SpikingMLP
        >>> network = SpikingMLP((1, 8, 8), 10, hidden=50, beta=0.7, surrogate=FastSigmoid(40))
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10)
        >>> rates = PatternInversion()(target, torch.arange(10))
        >>> tuple(rates.shape), 0 <= float(rates.min()) <= float(rates.max()) <= 1
        ((25, 10, 1, 8, 8), True)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    looks: Annotated[int, Ge(1)] = 20
    time_steps: Annotated[int, Ge(1)] = 25
    draws: Annotated[int, Ge(1)] = 4
    rate: Annotated[float, Gt(0), Lt(1)] = 0.12
    strength: Annotated[float, Ge(0)] = 2.0
    enough: float | None = 8.0
    covariance: bool = True
    blur: Annotated[float, Ge(0)] = 1.0
    slope: Annotated[float, Gt(0)] = 10.0
    attack: Literal["pattern-inversion"] = "pattern-inversion"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Spike probabilities for the classes ``labels``, or images of an ordinary target.

        All of the target's classes are looked at, whichever are asked for.

        Returns:
            ``(T, len(labels), C, H, W)``, the same at each step, or ``(len(labels), C, H, W)``; in
            [0, 1].

        Raises:
            AccessError: if the target does not grant gradients.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        seed = draw_seed(generator)
        classes = torch.arange(target.classes, device=target.device)
        weights = target.first_weights()
        ground = self.rate * self._ground(target, weights)
        state = monitor.resume({"theta": ground.new_zeros(len(classes), *target.input_shape)})
        with target.differentiated_by(FastSigmoid(self.slope)):
            for look in monitor.remaining(self.looks):
                values, gradient = ask(
                    target,
                    _field(ground, state["theta"]),
                    classes,
                    log_odds,
                    time_steps=self.time_steps,
                    draws=self.draws,
                    seed=seed,
                    purpose=look,
                )
                grows = values < (math.inf if self.enough is None else self.enough)
                step = self.strength / self.looks * self._pattern(gradient[0], weights)
                state = {"theta": state["theta"] + step * grows.view(-1, 1, 1, 1)}
                monitor.advance(look, state, log_odds=float(values.mean()))
        field = _field(ground, state["theta"])
        return presented(field[:, labels.to(target.device)], target, self.time_steps)

    def _ground(self, target: Target, weights: Tensor | None) -> Tensor:
        """What input has in common, ``input_shape``, of mean 1 and not negative."""
        flat = torch.ones(target.input_shape, device=target.device)
        if weights is None:
            return flat
        seen = smooth(weights.median(0).values.unsqueeze(0), self.blur)[0].clamp(min=0)
        return seen / seen.mean() if seen.any() else flat

    def _pattern(self, gradient: Tensor, weights: Tensor | None) -> Tensor:
        """Gradients ``(classes, C, H, W)`` as departures from what the classes share."""
        seen = gradient - gradient.mean(0)
        if self.covariance and weights is not None:
            units = (weights - weights.mean(0)).flatten(1)
            seen = (seen.flatten(1) @ units.T @ units).view_as(seen)
        seen = smooth(seen, self.blur)
        return seen / seen.std((1, 2, 3), keepdim=True).clamp(min=_TINY)


def _field(ground: Tensor, theta: Tensor) -> Tensor:
    """Probabilities ``(1, classes, C, H, W)``, above 0, so that every pixel can still fire."""
    return (ground * (1 + theta)).clamp(_LEAST, 1).unsqueeze(0)
