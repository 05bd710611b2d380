"""Inversion by scores alone: reverse correlation, then an evolution strategy."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.inputs import (
    Round,
    answers,
    frequency,
    low_frequencies,
    of_contrast,
    rates,
    reconstruction,
    rounds,
)
from brainleaks.monitor import Monitor, State
from brainleaks.randomness import draw_seed
from brainleaks.target import Access, Target

_BATCH = 100
_LEAST_SCORE = 1e-12


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class ScoreEvolution:
    """Reconstruct images from scores only.

    An image is ``x = sigmoid(z . basis)``, of ``frequencies * frequencies`` coefficients ``z`` a
    channel in a basis of low spatial frequencies, and is shown to a spiking target as fresh
    Bernoulli spikes at each query.

    *Reverse correlation.* Every query gives information about every class. Query ``probes`` images
    with ``z ~ N(0, 1)`` and regress the centred log-scores of all classes on them::

        g_c = (Z'Z + ridge)^-1 Z' (log p_c - mean over classes of log p)

    *Evolution.* Each iteration starts at ``z_c`` and queries ``pairs`` antithetic pairs per class,
    ``z_c +- sigma * e`` with ``e ~ N(0, 1)``. ``g_c`` and a shared direction ``h`` are updated with
    the difference between the measured slope of the class's log-odds along ``e`` and the slope
    that they predict::

        r = (logit p_c(z_c + sigma*e) - logit p_c(z_c - sigma*e)) / (2*sigma) - e . (g_c + h)
        h   <- h + sum over classes and pairs of r*e / (size of z + number of pairs)
        g_c <- g_c + caution * sum over pairs of r*e / (size of z + pairs)
        z_c <- z_c + step * (g_c + h) / frequency^smoothness, the direction scaled to ``contrast``

    with a step that falls to 0 and ``z_c`` scaled back to ``contrast``. All classes share
    ``h``, which captures what makes an input plausible at all and cannot be estimated from the
    differences between classes. The result for a class therefore depends slightly on which others
    are attacked.

    Args:
        frequencies: of the basis, in each direction.
        probes: random images in the first part; its queries are the same for any number of classes.
        ridge: keeps the regression finite.
        iterations: of the second part.
        pairs: antithetic pairs a class and iteration.
        sigma: how far from ``z_c`` they lie.
        step: the first step's size, relative to the contrast.
        caution: scale of the updates of ``g_c``, which come from few and noisy pairs.
        smoothness: exponent that favours low frequencies, as natural images do.
        contrast: root mean square of ``z``.
        time_steps: length ``T`` of the spike trains, of a spiking target.

    Reference: A. Ahumada, "Perceptual classification images from Vernier acuity masked by noise",
    Perception 25 (1996), and F. Gosselin and P. Schyns, "Superstitious perceptions reveal
    properties of internal representations", Psychological Science 14 (2003), for the first part;
    T. Salimans et al., "Evolution strategies as a scalable alternative to reinforcement learning"
    (arXiv 1703.03864), for the second.

    Example:
        >>> from brainleaks.networks import MLP
        >>> network = MLP((1, 8, 8), 10, hidden=50)
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10, access="scores")
        >>> attack = ScoreEvolution(frequencies=4, probes=100, iterations=5)
        >>> images = attack(target, torch.arange(10))
        >>> tuple(images.shape), target.queries
        ((10, 1, 8, 8), 300)
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    frequencies: Annotated[int, Ge(1)] = 12
    probes: Annotated[int, Ge(1)] = 500
    ridge: Annotated[float, Gt(0)] = 30.0
    iterations: Annotated[int, Ge(1)] = 20
    pairs: Annotated[int, Ge(1)] = 2
    sigma: Annotated[float, Gt(0)] = 0.5
    step: Annotated[float, Gt(0)] = 0.2
    caution: Annotated[float, Ge(0)] = 0.3
    smoothness: Annotated[float, Ge(0)] = 0.5
    contrast: Annotated[float, Gt(0)] = 1.0
    time_steps: Annotated[int, Ge(1)] = 25
    attack: Literal["score-evolution"] = "score-evolution"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Images for the classes ``labels``, ``(len(labels), C, H, W)`` in [0, 1].

        For a spiking target, spike probabilities ``(T, len(labels), C, H, W)`` that are the same at
        every time step.

        Raises:
            AccessError: if the target does not grant scores.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        seed = draw_seed(generator)
        labels = labels.to(target.device)
        basis = low_frequencies(target.input_shape, self.frequencies).to(target.device)
        state = monitor.resume(self._start(target, len(labels), basis))
        length = {"probes": self.probes, "batch": _BATCH, "iterations": self.iterations}
        for now in rounds(monitor, seed, target.device, **length):
            if now.probes:
                state, scores = self._probe(target, now.probes, basis, state, now.noise)
                confidence = scores[:, labels].mean()
                if now.last_probes:
                    state = self._directions(labels, basis, state)
            else:
                state, confidence = self._evolve(target, labels, basis, state, now)
            spent = float(target.queries)
            monitor.advance(now.number, state, queries=spent, confidence=float(confidence))
        return reconstruction(rates(state["coefficients"], basis), target, self.time_steps)

    def _start(self, target: Target, classes: int, basis: Tensor) -> State:
        shape = (target.input_shape[0], len(basis))
        size = shape[0] * shape[1]
        return {
            "gram": basis.new_zeros(size, size),
            "products": basis.new_zeros(size, target.classes),
            "coefficients": basis.new_zeros(classes, *shape),
            "gradients": basis.new_zeros(classes, *shape),
            "shared": basis.new_zeros(shape),
        }

    def _ask(
        self, target: Target, coefficients: Tensor, basis: Tensor, noise: torch.Generator
    ) -> Tensor:
        """Scores of images ``(B, C, N)`` in the basis, a query each, ``(B, classes)``."""
        images = rates(coefficients, basis)
        scores = answers(target.scores, images, target, self.time_steps, noise)
        return scores.clamp(min=_LEAST_SCORE)

    def _probe(
        self, target: Target, size: int, basis: Tensor, state: State, noise: torch.Generator
    ) -> tuple[State, Tensor]:
        """Ask about random images; what the regression needs of them is added up."""
        shape = (size, *state["shared"].shape)
        probes = torch.randn(shape, generator=noise, device=basis.device)
        scores = self._ask(target, probes, basis, noise)
        logs = scores.log()
        centred = logs - logs.mean(1, keepdim=True)
        # the probes and their answers have means of their own, which are no slope
        flat, centred = probes.flatten(1), centred - centred.mean(0)
        flat = flat - flat.mean(0)
        gram, products = state["gram"] + flat.T @ flat, state["products"] + flat.T @ centred
        return {**state, "gram": gram, "products": products}, scores

    def _directions(self, labels: Tensor, basis: Tensor, state: State) -> State:
        """Each class's mean gradient, by regression, and the image along it."""
        regular = state["gram"] + self.ridge * torch.eye(len(state["gram"]), device=basis.device)
        slopes = torch.linalg.solve(regular, state["products"][:, labels])
        gradients = slopes.T.reshape(state["gradients"].shape)
        coefficients = of_contrast(self._smooth(gradients, basis), self.contrast)
        return {**state, "gradients": gradients, "coefficients": coefficients}

    def _evolve(
        self,
        target: Target,
        labels: Tensor,
        basis: Tensor,
        state: State,
        now: Round,
    ) -> tuple[State, Tensor]:
        """One iteration of every class's search, in one batch."""
        here, gradients, shared = state["coefficients"], state["gradients"], state["shared"]
        shape, size = (self.pairs, *here.shape), shared.numel()
        away = torch.randn(shape, generator=now.noise, device=basis.device)
        members = torch.stack([here + self.sigma * away, here - self.sigma * away])
        scores = self._ask(target, members.flatten(0, 2), basis, now.noise)
        own = scores.gather(1, labels.repeat(2 * self.pairs).unsqueeze(1)).view(2, *shape[:2])
        odds = own.log() - (1 - own).clamp(min=_LEAST_SCORE).log()
        slopes = (odds[0] - odds[1]) / (2 * self.sigma)
        surprise = slopes - (away * (gradients + shared)).sum((-2, -1))
        lessons = surprise[..., None, None] * away
        shared = shared + lessons.sum((0, 1)) / (size + self.pairs * len(labels))
        gradients = gradients + self.caution * lessons.sum(0) / (size + self.pairs)
        uphill = of_contrast(self._smooth(gradients + shared, basis), self.contrast)
        moved = of_contrast(here + self.step * (1 - now.progress) * uphill, self.contrast)
        found = {"coefficients": moved, "gradients": gradients, "shared": shared}
        return {**state, **found}, own.mean()

    def _smooth(self, gradients: Tensor, basis: Tensor) -> Tensor:
        return gradients * frequency(basis) ** -self.smoothness
