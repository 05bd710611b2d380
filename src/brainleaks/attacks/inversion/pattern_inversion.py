"""Pattern inversion: what a network has learned, read off its weights and a few of its answers."""

import math
from functools import partial
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
from brainleaks.randomness import draw_seed, stream
from brainleaks.target import Access, Target

_TINY = 1e-12
_LEAST = 1e-6
#: Through a whole network: the probability of the faint input, and how often it is shown.
_FAINT, _FAINT_LOOKS = 0.05, 3
#: How blurred its departures are, as a share of the image's side, and how sharpened then.
_WIDE, _SHARPNESS = 1 / 7, 1.5
#: The random inputs: the width of their waves, as a share of the side, and their contrast.
_COARSE, _CONTRAST = 1 / 11, 3.0
#: Slope of a surrogate that is nearly flat.
_FLAT = 0.25


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

    ``m`` is uniform if no median weight is positive.

    If the first layer is not linear, a convolution for example, nothing of this can be read from
    weights, and the gradients of the whole network stand in. How much they depart from class to
    class, at a faint uniform input, says where inputs differ: blurred and sharpened, that is ``m``.
    The pattern is the average of gradients at random smooth inputs within ``m``, which smears out
    what is peculiar to one input; neurons are differentiated by a nearly flat surrogate, since a
    steep one loses the gradient in deep networks. Each class departs from ``m`` by ``departure``.

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
        departure: deviation of a class from ``m`` where the first layer is not linear, in standard
            deviations of the pattern.

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
    version: ClassVar[int] = 2

    looks: Annotated[int, Ge(1)] = 20
    time_steps: Annotated[int, Ge(1)] = 25
    draws: Annotated[int, Ge(1)] = 4
    rate: Annotated[float, Gt(0), Lt(1)] = 0.12
    strength: Annotated[float, Ge(0)] = 2.0
    enough: float | None = 8.0
    covariance: bool = True
    blur: Annotated[float, Ge(0)] = 1.0
    slope: Annotated[float, Gt(0)] = 10.0
    departure: Annotated[float, Ge(0)] = 0.35
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
        weights = target.first_weights()
        look = self._through_all if weights is None else partial(self._through_first, weights)
        field = look(target, seed, monitor)
        return presented(field[:, labels.to(target.device)], target, self.time_steps)

    def _through_first(
        self, weights: Tensor, target: Target, seed: int, monitor: Monitor
    ) -> Tensor:
        """Probabilities of all classes, ``(1, classes, C, H, W)``, by the first layer's weights."""
        ground = self.rate * self._ground(weights)
        state = monitor.resume({"theta": ground.new_zeros(target.classes, *target.input_shape)})
        for look in monitor.remaining(self.looks):
            field = _field(ground, state["theta"])
            values, gradient = self._ask(target, field, self.slope, seed, look)
            grows = values < (math.inf if self.enough is None else self.enough)
            step = self.strength / self.looks * self._pattern(gradient, weights)
            state = {"theta": state["theta"] + step * grows.view(-1, 1, 1, 1)}
            monitor.advance(look, state, log_odds=float(values.mean()))
        return _field(ground, state["theta"])

    def _through_all(self, target: Target, seed: int, monitor: Monitor) -> Tensor:
        """The same, by the gradients of the whole network."""
        start = torch.zeros(target.classes, *target.input_shape, device=target.device)
        state = monitor.resume({"ground": start[0], "seen": start})
        for look in monitor.remaining(_FAINT_LOOKS + self.looks):
            if look < _FAINT_LOOKS:
                faint = torch.full_like(start, _FAINT).unsqueeze(0)
                values, gradient = self._ask(target, faint, self.slope, seed, look)
                spread = (gradient - gradient.mean(0)).square().mean(0)
                state = state | {"ground": state["ground"] + spread}
            else:
                ground, done = _sharpened(state["ground"]), (look - _FAINT_LOOKS) / self.looks
                theta = done * self.departure * self._pattern(state["seen"], None)
                shape = _random_shape(ground, stream(seed, "shape", look, device=target.device))
                field = _field(shape, theta)
                values, gradient = self._ask(target, field, _FLAT, seed, look)
                state = state | {"seen": state["seen"] + gradient}
            monitor.advance(look, state, log_odds=float(values.mean()))
        ground = _sharpened(state["ground"])
        theta = self.departure * self._pattern(state["seen"], None)
        return _field(self.rate * ground / ground.mean().clamp(min=_TINY), theta)

    def _ask(
        self, target: Target, field: Tensor, slope: float, seed: int, look: int
    ) -> tuple[Tensor, Tensor]:
        """Log-odds of all classes, and their gradients ``(classes, C, H, W)``."""
        classes = torch.arange(target.classes, device=target.device)
        with target.differentiated_by(FastSigmoid(slope)):
            values, gradient = ask(
                target,
                field,
                classes,
                log_odds,
                time_steps=self.time_steps,
                draws=self.draws,
                seed=seed,
                purpose=look,
            )
        return values, gradient[0]

    def _ground(self, weights: Tensor) -> Tensor:
        """What input has in common, ``input_shape``, of mean 1 and not negative."""
        seen = smooth(weights.median(0).values.unsqueeze(0), self.blur)[0].clamp(min=0)
        return seen / seen.mean() if seen.any() else torch.ones_like(seen)

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


def _sharpened(spread: Tensor) -> Tensor:
    """Where inputs differ, ``(C, H, W)`` of at most 1, by how much gradients depart there."""
    seen = smooth(spread.unsqueeze(0), _WIDE * min(spread.shape[1:]))[0]
    return (seen / seen.max().clamp(min=_TINY)) ** _SHARPNESS


def _random_shape(ground: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth random input within the ground, alike for all classes: ``(C, H, W)``."""
    noise = torch.randn(ground.shape, generator=generator, device=ground.device)
    waves = smooth(noise.unsqueeze(0), _COARSE * min(ground.shape[1:]))[0]
    waves = waves / waves.std().clamp(min=_TINY)
    return ground ** (1 / _SHARPNESS) * torch.sigmoid(_CONTRAST * waves - 1)
