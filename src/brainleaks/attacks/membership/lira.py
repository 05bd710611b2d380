"""The likelihood-ratio attack."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
    confidences,
    logit,
    normal,
)
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Lira:
    """Compare how well two normal distributions explain the target's logit of a sample.

    One is fitted to the logits of the reference networks that were trained on the sample, the
    other to those of the networks that were not. The score is the logarithm of the likelihood
    ratio. Offline, only the second is fitted, so that the networks can be trained before the sample
    is known; the score is ``(own - mean) / standard deviation``, which orders samples as the
    one-sided p-value does.

    Args:
        online: whether both distributions are fitted.
        per_sample_from: from so many networks on either side, each sample has variances of its
            own; with fewer, all samples share them.

    Reference: Carlini, Chien, Nasr, Song, Terzis and Tramer, "Membership inference attacks from
    first principles", S&P 2022, Algorithm 1, section V-C (offline) and section VI-C (shared
    variance).
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True

    online: bool = True
    per_sample_from: Annotated[int, Ge(2)] = 32
    attack: Literal["lira"] = "lira"

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
        references.require(self.attack, inside=self.online)
        labels, trained_on = candidates.labels, references.trained_on
        own = logit(confidences(target, candidates, generator), labels)
        others = logit(references.scores, labels)
        outside = normal(others, ~trained_on, self.per_sample_from)
        if not self.online:
            return (own - outside.mean) / outside.stddev
        inside = normal(others, trained_on, self.per_sample_from)
        ratio: Tensor = inside.log_prob(own) - outside.log_prob(own)
        return ratio
