"""Membership by the confidence that is left when parts of the input are dropped."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
    logit,
)
from brainleaks.monitor import Monitor
from brainleaks.randomness import draw_seed, stream
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class InputDropout:
    """Score a sample by the target's mean logit when random pixels are set to zero.

    A mask drops the same pixels at all time steps.

    Args:
        masks: how many random masks are averaged.
        share: of the pixels that each mask drops.

    Reference: Guan, Sharma, Tian and Lahlou, "On the privacy risks of spiking neural networks: a
    membership inference analysis", UAI 2025, arXiv 2502.13191. The number of masks and the share
    are ours.
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = False

    masks: Annotated[int, Ge(1)] = 16
    share: Annotated[float, Gt(0), Lt(1)] = 0.3
    attack: Literal["input-dropout"] = "input-dropout"

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
        labels = candidates.labels
        seed = draw_seed(generator)
        total = torch.zeros(len(labels), dtype=torch.float64)
        repeated = replace(candidates, draws=self.masks)
        for i, (batch, inputs) in enumerate(repeated.batches(generator, target.device)):
            shape = (len(batch), *target.input_shape)
            noise = stream(seed, "dropout", i, device=target.device)
            kept = torch.rand(shape, generator=noise, device=target.device) >= self.share
            total[batch] += logit(target.scores(inputs * kept).cpu(), labels[batch])
        return total / self.masks
