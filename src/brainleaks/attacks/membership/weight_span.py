"""Membership by what training added to the first layer's weights."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
)
from brainleaks.attacks.membership.weights import change
from brainleaks.data.parts import images
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class WeightSpan:
    """Score a sample by the share of its energy in the directions that training added.

    Every gradient of the first layer is a weighted sum of training inputs, so the change of the
    weights in training lies near the span of the training set. The score is the share of a sample's
    squared norm within the leading right singular vectors of that change. The attack sends no
    queries.

    Args:
        energy: share of the squared singular values that the leading vectors cover.

    The attack is ours.
    """

    access: ClassVar[Access] = "initial-weights"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = False
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = False

    energy: Annotated[float, Gt(0), Le(1)] = 0.9
    attack: Literal["weight-span"] = "weight-span"

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
            InputError: if its first layer is not fully connected to the inputs, or did not change.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        added = change(target, self.attack).float()
        _, values, directions = torch.linalg.svd(added, full_matrices=False)
        shares = (values**2).cumsum(0) / (values**2).sum()
        leading = directions[: int((shares < self.energy).sum()) + 1]
        inputs = images(candidates.samples).flatten(1)
        energy: Tensor = ((inputs @ leading.T) ** 2).sum(1) / (inputs**2).sum(1).clamp_min(1e-12)
        return energy
