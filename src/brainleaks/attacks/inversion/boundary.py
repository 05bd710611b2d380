"""Inversion by labels alone: classification images, then repulsion from the boundary."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

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

_BATCH = 200
#: How much the counts of labels that tell which are rare keep of the batches before.
_MEMORY = 0.5
_GROWTH = 1.2
_LARGEST_RADIUS = 4.0


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class BoundaryRepulsion:
    """Reconstruct images from predicted labels only.

    An image is ``x = sigmoid(z . basis)``, of ``frequencies * frequencies`` coefficients ``z`` a
    channel in a basis of low spatial frequencies, and is shown to a spiking target as fresh
    Bernoulli spikes at each query.

    *Starting points.* Query ``probes`` images around a centre ``m``, with
    ``z = m + spread * e`` and ``e`` drawn with the spectrum ``1 / frequency^smoothness``. Between
    batches, the centre moves towards images with rare labels, until every class is predicted::

        m <- m + mean over the batch of reward * spread * e
        reward = -log(share of the label among recent ones), standardised

    A class starts at its classification image: the centre plus the mean of those ``e`` whose images
    got its label, scaled to ``contrast``.

    *Repulsion.* Each iteration queries ``samples`` inputs per class, ``z_c + radius_c * e``, and
    moves away from those that get another label::

        v_c <- momentum * v_c + mean of e that stay - mean of e
        z_c <- z_c + step * (caution * v_c + mean over classes of v), scaled to ``contrast``

    The radius grows if all keep their label and shrinks if none does. A class that was never
    predicted is not updated until an input made for another class gets its label; that input
    becomes its starting point. ``started`` in the progress line is the share of classes that have
    one. Classes share probes and directions, so the result for a class depends slightly on which
    others are attacked.

    Args:
        frequencies: of the basis, in each direction.
        probes: random images in the first part; its queries are the same for any number of classes.
        spread: root mean square of ``e`` in the first part.
        iterations: of the second part.
        samples: inputs a class and iteration.
        draws: how often each is asked about; it stays in the class if half of the answers say so.
        radius: the first, relative to the contrast.
        step: the first step's size, relative to the contrast; it falls to 0.
        momentum: memory of the directions.
        caution: weight of a class's own direction beside the shared one; its samples are few.
        smoothness: exponent that favours low frequencies, as natural images do.
        contrast: root mean square of ``z``.
        time_steps: length ``T`` of the spike trains, of a spiking target.

    Reference: after M. Kahla et al., "Label-only model inversion attacks via boundary repulsion",
    CVPR 2022, without its generator; the start is that of F. Gosselin and P. Schyns,
    "Superstitious perceptions reveal properties of internal representations", Psychological
    Science 14 (2003).

    Example:
        >>> from brainleaks.networks import MLP
        >>> network = MLP((1, 8, 8), 10, hidden=50)
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10, access="labels")
        >>> attack = BoundaryRepulsion(frequencies=4, probes=100, iterations=5, samples=4)
        >>> images = attack(target, torch.arange(10))
        >>> tuple(images.shape), target.queries
        ((10, 1, 8, 8), 300)
    """

    access: ClassVar[Access] = "labels"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    frequencies: Annotated[int, Ge(1)] = 12
    probes: Annotated[int, Ge(1)] = 2000
    spread: Annotated[float, Gt(0)] = 2.0
    iterations: Annotated[int, Ge(1)] = 20
    samples: Annotated[int, Ge(1)] = 10
    draws: Annotated[int, Ge(1)] = 1
    radius: Annotated[float, Gt(0)] = 1.0
    step: Annotated[float, Gt(0)] = 0.1
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.8
    caution: Annotated[float, Ge(0)] = 1.0
    smoothness: Annotated[float, Ge(0)] = 0.5
    contrast: Annotated[float, Gt(0)] = 1.0
    time_steps: Annotated[int, Ge(1)] = 25
    attack: Literal["boundary-repulsion"] = "boundary-repulsion"

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
            AccessError: if the target is none that answers; labels are the least there is.
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
                state = self._probe(target, now.probes, basis, state, now.noise)
                named = state["counts"][labels] > 0
                success = (state["recent"][labels] / state["recent"].sum()).mean()
                if now.last_probes:
                    state = self._places(labels, basis, state)
            else:
                state, success = self._repel(target, labels, basis, state, now)
                named = state["started"] > 0
            monitor.advance(
                now.number,
                state,
                queries=float(target.queries),
                success=float(success),
                started=float(named.float().mean()),
            )
        return reconstruction(rates(state["coefficients"], basis), target, self.time_steps)

    def _start(self, target: Target, classes: int, basis: Tensor) -> State:
        shape = (target.input_shape[0], len(basis))
        return {
            "centre": basis.new_zeros(shape),
            "images": basis.new_zeros(target.classes, *shape),
            "counts": basis.new_zeros(target.classes),
            "recent": basis.new_zeros(target.classes),
            "coefficients": basis.new_zeros(classes, *shape),
            "directions": basis.new_zeros(classes, *shape),
            "radius": basis.new_full((classes,), self.radius * self.contrast),
            "started": basis.new_zeros(classes),
        }

    def _ask(
        self, target: Target, coefficients: Tensor, basis: Tensor, noise: torch.Generator
    ) -> Tensor:
        """Labels of images ``(B, C, N)`` in the basis, a query each, ``(B,)``."""
        images = rates(coefficients, basis)
        return answers(target.labels, images, target, self.time_steps, noise)

    def _noise(self, shape: tuple[int, ...], basis: Tensor, noise: torch.Generator) -> Tensor:
        """Normal numbers of unit variance on average and of the spectrum of natural images."""
        spectrum = frequency(basis) ** -self.smoothness
        drawn = torch.randn(shape, generator=noise, device=basis.device)
        return drawn * spectrum / spectrum.square().mean().sqrt()

    def _probe(
        self, target: Target, size: int, basis: Tensor, state: State, noise: torch.Generator
    ) -> State:
        """Ask about random images around the centre, and move it to where labels are rare."""
        away = self._noise((size, *state["centre"].shape), basis, noise)
        found = self._ask(target, state["centre"] + self.spread * away, basis, noise)
        # products rather than an indexed sum, whose order a GPU does not keep
        named = functional.one_hot(found, target.classes).to(away)
        counted = named.sum(0)
        recent = _MEMORY * state["recent"] + counted
        reward = -(recent[found] / recent.sum()).log()
        reward = (reward - reward.mean()) / reward.std(correction=0).clamp(min=1e-6)
        moved = state["centre"] + self.spread * torch.einsum("b,bcn->cn", reward, away) / size
        return {
            **state,
            "centre": moved,
            "images": state["images"] + torch.einsum("bk,bcn->kcn", named, away),
            "counts": state["counts"] + counted,
            "recent": recent,
        }

    def _places(self, labels: Tensor, basis: Tensor, state: State) -> State:
        """Where each class starts: its classification image, beside the centre."""
        images = of_contrast(state["images"][labels], self.contrast)
        here = of_contrast(images + state["centre"], self.contrast)
        return {**state, "coefficients": here, "started": (state["counts"][labels] > 0).to(here)}

    def _repel(
        self,
        target: Target,
        labels: Tensor,
        basis: Tensor,
        state: State,
        now: Round,
    ) -> tuple[State, Tensor]:
        """One iteration of every class's search, in one batch."""
        here, radius = state["coefficients"], state["radius"]
        away = self._noise((self.samples, *here.shape), basis, now.noise)
        members = here + radius[:, None, None] * away
        asked = members.expand(self.draws, *members.shape).flatten(0, 2)
        found = self._ask(target, asked, basis, now.noise).view(self.draws, self.samples, -1)
        stays = ((found == labels).to(here).mean(0) >= 0.5).to(here)
        share = stays.mean(0)
        kept = torch.einsum("sb,sbcn->bcn", stays, away) / stays.sum(0).clamp(min=1)[:, None, None]
        # where none stays, nothing is known of where the class is
        lesson = (kept - away.mean(0)) * (share > 0)[:, None, None]
        directions = self.momentum * state["directions"] + lesson
        uphill = self.caution * directions + directions.mean(0)
        uphill = of_contrast(uphill, self.contrast)
        moved = of_contrast(here + self.step * (1 - now.progress) * uphill, self.contrast)
        grown = torch.where(share == 1, _GROWTH, torch.where(share == 0, 1 / _GROWTH, 1.0))
        started = torch.maximum(state["started"], (share > 0).to(here))
        moved, started = _adopt(labels, found[0], members, moved, started, self.contrast)
        state = {
            **state,
            "coefficients": moved,
            "directions": directions,
            "radius": (radius * grown).clamp(max=_LARGEST_RADIUS * self.contrast),
            "started": started,
        }
        return state, share.mean()


def _adopt(
    labels: Tensor,
    found: Tensor,
    members: Tensor,
    here: Tensor,
    started: Tensor,
    contrast: float,
) -> tuple[Tensor, Tensor]:
    """Classes that have no start take the first input made for another that is labelled as they."""
    named = found.flatten() == labels.unsqueeze(1)
    takes = (started == 0) & named.any(1)
    first = members.flatten(0, 1)[named.int().argmax(1)]
    here = torch.where(takes[:, None, None], of_contrast(first, contrast), here)
    return here, torch.where(takes, 1.0, started)
