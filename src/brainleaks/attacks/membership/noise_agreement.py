"""Membership by how long the label survives noise, for label-only access."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le, MinLen
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
)
from brainleaks.monitor import Monitor
from brainleaks.randomness import draw_seed, stream
from brainleaks.target import Access, Target

_Strength = Annotated[float, Gt(0), Le(1)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class NoiseAgreement:
    """Score a sample by how often the target still names its class when the input is perturbed.

    A perturbation of strength ``s`` replaces a share ``s`` of the inputs by fair coin flips. The
    farther a sample is from the decision boundary, the stronger the noise that it survives.

    Args:
        queries: perturbed inputs for each sample and strength.
        strengths: shares of the inputs that are replaced.

    Reference: Choquette-Choo, Tramer, Carlini and Papernot, "Label-only membership inference
    attacks", ICML 2021, section 3.3 (random noise); the noise is ours, since spikes are binary.
    """

    access: ClassVar[Access] = "labels"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = False

    queries: Annotated[int, Ge(1)] = 8
    strengths: Annotated[tuple[Annotated[float, Gt(0), Le(1)], ...], MinLen(1)] = (
        0.1,
        0.2,
        0.3,
        0.4,
    )
    attack: Literal["noise-agreement"] = "noise-agreement"

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
        labels, seed = candidates.labels, draw_seed(generator)
        agreed = torch.zeros(len(labels), dtype=torch.float64)
        repeated = replace(candidates, draws=self.queries)
        for i, (batch, inputs) in enumerate(repeated.batches(generator, target.device)):
            noise = stream(seed, "noise", i, device=target.device)
            for strength in self.strengths:
                chosen = torch.rand(inputs.shape, generator=noise, device=target.device) < strength
                coins = torch.rand(inputs.shape, generator=noise, device=target.device) < 0.5
                perturbed = torch.where(chosen, coins.to(inputs.dtype), inputs)
                agreed[batch] += target.labels(perturbed).cpu() == labels[batch]
        return agreed / (self.queries * len(self.strengths))
