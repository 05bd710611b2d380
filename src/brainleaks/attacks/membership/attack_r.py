"""Membership by comparison with reference networks."""

from typing import ClassVar, Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
    confidences,
    mean_where,
    of_label,
)
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class AttackR:
    """Score a sample by the share of the reference networks that have a larger loss on it.

    Only networks that were not trained on the sample count.

    Reference: Ye, Maddi, Murakonda, Bindschaedler and Shokri, "Enhanced membership inference
    attacks against machine learning models", CCS 2022, section 4.3 (Attack R).
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True

    attack: Literal["attack-r"] = "attack-r"

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
        own = of_label(confidences(target, candidates, generator), labels)
        larger = (of_label(references.scores, labels) < own).double()
        return mean_where(larger, ~references.trained_on)
