"""Membership by the loss alone."""

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
class LossThreshold:
    """Score a sample by its negative loss, ``log p_y``.

    Reference: Yeom, Giacomelli, Fredrikson and Jha, "Privacy risk in machine learning: analyzing
    the connection to overfitting", CSF 2018, Adversary 2.
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = False

    attack: Literal["loss-threshold"] = "loss-threshold"

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
        return of_label(scores, candidates.labels).log()
