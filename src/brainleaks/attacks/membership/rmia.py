"""The robust membership inference attack."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le
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
class Rmia:
    """Score a sample by the share of the population that it dominates.

    ``ratio(x) = p(x | target) / p(x)`` says how much more likely the target makes a sample than a
    network in general. A sample dominates one of the population if its ratio is at least ``gamma``
    times that one's.

    Args:
        online: whether ``p(x)`` is the mean over reference networks with and without the sample;
            else it is ``((1 + a) * without + (1 - a)) / 2``.
        gamma: how many times larger a ratio must be.
        a: how the mean of the networks without the sample is corrected; only offline.

    Reference: Zarifzadeh, Liu and Shokri, "Low-cost high-power membership inference attacks",
    ICML 2024, equations 2 to 4, and section 3.3 (offline).
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True

    online: bool = True
    gamma: Annotated[float, Gt(0)] = 2.0
    a: Annotated[float, Ge(0), Le(1)] = 0.3
    attack: Literal["rmia"] = "rmia"

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
        labels = candidates.labels
        own = of_label(confidences(target, candidates, generator), labels)
        ratio = own / self._marginal(of_label(references.scores, labels), references.trained_on)
        population = (self.gamma * ratio[references.population]).sort().values
        return torch.searchsorted(population, ratio, right=True) / len(population)

    def _marginal(self, scores: Tensor, trained_on: Tensor) -> Tensor:
        without = mean_where(scores, ~trained_on)
        if self.online:
            return (mean_where(scores, trained_on) + without) / 2
        return ((1 + self.a) * without + (1 - self.a)) / 2
