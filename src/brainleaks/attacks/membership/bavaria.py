"""Bayesian variance inference: LiRA where reference networks are few."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.distributions import StudentT

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
    confidences,
    logit,
    mean_where,
)
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Bavaria:
    """Compare how well two Student t distributions explain the target's logit of a sample.

    The mean and variance of the logits, with and without the sample in training, have a
    normal-inverse-gamma prior. It is fitted to all samples, so that a sample with few networks
    borrows from the others, and one with many relies on its own. The score is the logarithm of the
    ratio of the two predictive densities.

    Args:
        mean_strength: how many networks the prior's mean is worth.
        variance_strength: how many networks the prior's variance is worth. Both defaults are ours.

    Reference: Brannvall, "Exponential-family membership inference: from LiRA and RMIA to BaVarIA",
    arXiv 2603.11799 (BaVarIA-t); Murphy, "Conjugate Bayesian analysis of the Gaussian
    distribution", 2007, equations 85 to 89 and 99.
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True

    mean_strength: Annotated[float, Gt(0)] = 1.0
    variance_strength: Annotated[float, Gt(0)] = 4.0
    attack: Literal["bavaria"] = "bavaria"

    def __call__(
        self,
        target: Target,
        candidates: Candidates,
        references: References,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """A score for each sample, ``(N,)``: the larger, the more likely it is a member.

        Raises:
            AccessError: if the target grants too little.
            InputError: if reference networks are missing.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        references.require(self.attack, inside=True)
        labels = candidates.labels
        own = logit(confidences(target, candidates, generator), labels)
        others = logit(references.scores, labels)
        inside = self._predictive(others, references.trained_on)
        outside = self._predictive(others, ~references.trained_on)
        ratio: Tensor = inside.log_prob(own) - outside.log_prob(own)
        return ratio

    def _predictive(self, values: Tensor, mask: Tensor) -> StudentT:
        """Of the next value of each sample, after those that ``mask`` selects."""
        count, own = mask.sum(0), mean_where(values, mask)
        squares = ((values - own) ** 2 * mask).sum(0)
        mean = own.mean()
        variance = squares.sum() / (count - 1).clamp_min(0).sum().clamp_min(1)
        kappa, alpha = self.mean_strength + count, (self.variance_strength + count) / 2
        beta = (self.variance_strength * variance + squares) / 2
        beta = beta + self.mean_strength * count * (own - mean) ** 2 / (2 * kappa)
        centre = (self.mean_strength * mean + count * own) / kappa
        scale = (beta * (kappa + 1) / (alpha * kappa)).clamp_min(1e-12).sqrt()
        return StudentT(2 * alpha, centre, scale)
