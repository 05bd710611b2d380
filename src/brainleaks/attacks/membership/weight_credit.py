"""Membership by who explains the change of the first layer's weights."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import Candidates, References
from brainleaks.attacks.membership.weights import Explanation
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class WeightCredit:
    """Score a sample by how much of the weights' change in training it explains.

    Every gradient of the first layer is a weighted sum of training inputs. Ridge regression divides
    what training added to the weights among the inputs of all candidates; a sample's score is its
    part along the direction in which its own loss would move the layer.

    Args:
        ridge: penalty of the regression, as a share of the inputs' mean squared norm.

    The attack is ours.
    """

    access: ClassVar[Access] = "initial-weights"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = False

    ridge: Annotated[float, Gt(0)] = 0.1
    attack: Literal["weight-credit"] = "weight-credit"

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
        explanation = Explanation.by(candidates, self.ridge)
        return explanation.credit(target, candidates, self.attack, generator)
