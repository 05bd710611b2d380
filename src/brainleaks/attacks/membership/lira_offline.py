"""The likelihood-ratio attack, offline."""

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
class LiraOffline:
    """Score a sample by how unusual its logit is for networks that were not trained on it.

    Reference networks can be trained before the sample is known. The score is ``(own - mean) /
    standard deviation``, which orders samples as the one-sided p-value does.

    Args:
        per_sample_from: from so many networks, each sample has a variance of its own; with fewer,
            all samples share one.

    Reference: Carlini, Chien, Nasr, Song, Terzis and Tramer, "Membership inference attacks from
    first principles", S&P 2022, section V-C.
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = False
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True

    per_sample_from: Annotated[int, Ge(2)] = 32
    attack: Literal["lira-offline"] = "lira-offline"

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
        references.require(self.attack, inside=False)
        labels = candidates.labels
        own = logit(confidences(target, candidates, generator), labels)
        outside = normal(
            logit(references.scores, labels), ~references.trained_on, self.per_sample_from
        )
        return (own - outside.mean) / outside.stddev
