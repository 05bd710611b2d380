"""The likelihood-ratio attack, online."""

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
    other to those of the networks that were not. The score is the logarithm of
    the likelihood ratio.

    Args:
        per_sample_from: from so many networks on either side, each sample has variances of its
            own; with fewer, all samples share them.

    Reference: Carlini, Chien, Nasr, Song, Terzis and Tramer, "Membership inference attacks from
    first principles", S&P 2022, Algorithm 1 and section VI-C (shared variance).
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = False
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True

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
        references.require(self.attack, inside=True)
        labels = candidates.labels
        own = logit(confidences(target, candidates, generator), labels)
        others = logit(references.scores, labels)
        inside = normal(others, references.trained_on, self.per_sample_from)
        outside = normal(others, ~references.trained_on, self.per_sample_from)
        ratio: Tensor = inside.log_prob(own) - outside.log_prob(own)
        return ratio
