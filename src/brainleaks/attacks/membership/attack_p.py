"""Membership by comparison with a population."""

from typing import ClassVar, Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
    confidences,
    of_label,
)
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class AttackP:
    """Score a sample by the share of the population that has a larger loss.

    The score is one minus the false-positive rate at the sample's own loss, so that a threshold on
    it needs no calibration. It orders samples as the loss does: the ROC curve is that of
    :class:`~brainleaks.attacks.membership.loss_threshold.LossThreshold`, up to ties.

    Reference: Ye, Maddi, Murakonda, Bindschaedler and Shokri, "Enhanced membership inference
    attacks against machine learning models", CCS 2022, section 4.2 (Attack P).
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = False

    attack: Literal["attack-p"] = "attack-p"

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
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        scores = confidences(target, candidates, generator)
        loss = -of_label(scores, candidates.labels).log()
        population = loss[references.population].sort().values
        larger = len(population) - torch.searchsorted(population, loss, right=True)
        return larger / len(population)
