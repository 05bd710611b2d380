"""Membership by the loss, less what reference networks make of the sample."""

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
class CalibratedLoss:
    """Score a sample by how much smaller its loss is than reference networks' mean loss on it.

    Only networks that were not trained on the sample count: their loss says how difficult it is.

    Reference: Watson, Guo, Cormode and Sablayrolles, "On the importance of difficulty calibration
    in membership inference attacks", ICLR 2022, section 3.
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True

    attack: Literal["calibrated-loss"] = "calibrated-loss"

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
        own = of_label(confidences(target, candidates, generator), labels).log()
        others = of_label(references.scores, labels).log()
        return own - mean_where(others, ~references.trained_on)
