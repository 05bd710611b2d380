"""What membership attacks are given, and what they compute from the target's answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.distributions import Normal

from brainleaks.attacks.attack import Attack
from brainleaks.data.dataset import Samples
from brainleaks.errors import InputError
from brainleaks.randomness import draw_seed, stream
from brainleaks.target import Target
from brainleaks.training.loop import Encode

_BATCH = 50


class MembershipAttack(Attack, Protocol):
    """An attack that is called with a target, :class:`Candidates` and :class:`References`.

    Attributes:
        shadows: whether it needs reference networks (shadow models).
    """

    shadows: ClassVar[bool]


@dataclass(frozen=True)
class Candidates:
    """Samples whose membership is in question.

    Args:
        samples: ``N`` inputs and their labels.
        encode: turns images into what the network takes.
        draws: how many encodings of each sample are averaged; 1 where nothing is drawn.
    """

    samples: Samples
    encode: Encode
    draws: int = 1

    @property
    def labels(self) -> Tensor:
        """The class of each sample, ``(N,)``."""
        return self.samples.labels

    def batches(
        self, generator: torch.Generator | None, device: torch.device | str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices and encoded inputs, batch by batch, each ``draws`` times.

        Args:
            generator: names the random streams; the same one gives the same spikes.
            device: where the inputs are encoded.
        """
        seed = draw_seed(generator)
        for i, batch in enumerate(torch.arange(len(self.labels)).split(_BATCH)):
            for draw in range(self.draws):
                noise = stream(seed, "encoding", i, draw, device=device)
                yield batch, self.encode(self.samples.inputs[batch].to(device), noise)


@dataclass(frozen=True)
class References:
    """What the attacker knows from networks that they trained themselves, and of other data.

    Args:
        scores: ``(K, N, C)``, the confidence of each of ``K`` reference networks in each class.
        trained_on: ``(K, N)``, whether a reference network was trained on a sample.
        population: ``(N,)``, the samples that stand for the population. The attacker knows that
            they are no members, and they are not evaluated.
        networks: each gives one of the reference networks, with all that the attacker, who trained
            it, knows of it.
    """

    scores: Tensor
    trained_on: Tensor
    population: Tensor
    networks: Sequence[Callable[[], Target]] = ()

    def require(self, attack: str, *, inside: bool) -> None:
        """Refuse an attack that needs reference networks that there are not.

        Args:
            attack: its name.
            inside: whether it needs networks that were trained on the sample, too.

        Raises:
            InputError: if some sample has no network that was trained without it, or, if
                ``inside``, none that was trained on it.
        """
        trained = self.trained_on.sum(0)
        without = len(self.trained_on) - trained
        if not len(self.trained_on) or int(without.min()) < 1 or (inside and trained.min() < 1):
            which = "with and without" if inside else "without"
            raise InputError(
                f"{attack} needs reference networks trained {which} each sample; raise "
                "membership.shadows."
            )


def confidences(
    target: Target, candidates: Candidates, generator: torch.Generator | None
) -> Tensor:
    """The target's confidence in each class, ``(N, C)`` on the CPU, mean over the draws.

    Raises:
        AccessError: if the target grants labels only.
    """
    total = torch.zeros(len(candidates.labels), target.classes, dtype=torch.float64)
    for batch, inputs in candidates.batches(generator, target.device):
        total[batch] += target.scores(inputs).double().cpu()
    return total / candidates.draws


def of_label(scores: Tensor, labels: Tensor) -> Tensor:
    """The confidence in each sample's own class, ``(..., N)`` of ``(..., N, C)``, above zero."""
    index = labels.expand(scores.shape[:-1]).unsqueeze(-1)
    return scores.double().gather(-1, index).squeeze(-1).clamp_min(1e-30)


def logit(scores: Tensor, labels: Tensor) -> Tensor:
    """``log p - log(1 - p)`` of the confidence in each sample's own class, ``(..., N)``.

    ``1 - p`` is summed over the other classes, which keeps its digits where ``p`` is nearly 1
    (Carlini et al. 2022, section VI-C).
    """
    index = labels.expand(scores.shape[:-1]).unsqueeze(-1)
    others = scores.double().scatter(-1, index, 0.0).sum(-1).clamp_min(1e-30)
    return of_label(scores, labels).log() - others.log()


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the first axis of the values that ``mask`` selects; NaN where it selects none.

    ``(K, N)`` to ``(N,)``.
    """
    return (values * mask).sum(0) / mask.sum(0)


def normal(values: Tensor, mask: Tensor, per_sample_from: int) -> Normal:
    """A normal distribution for each sample, of the values ``(K, N)`` that ``mask`` selects.

    The variance is each sample's own where ``mask`` selects at least ``per_sample_from`` values for
    every sample, else one for all.
    """
    count, mean = mask.sum(0), mean_where(values, mask)
    squares = ((values - mean) ** 2 * mask).sum(0)
    if int(count.min()) >= per_sample_from:
        variance = squares / (count - 1)
    else:
        variance = (squares.sum() / (count - 1).sum().clamp_min(1)).expand_as(mean)
    return Normal(mean, variance.clamp_min(1e-12).sqrt())
