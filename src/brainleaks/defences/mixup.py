"""Training on mixtures of two samples."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Gt, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.defences.defence import Acts
from brainleaks.randomness import draw_seed
from brainleaks.training import Batch, TrainingLoop


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Mixup:
    """Train on mixtures of the samples of a batch, and of their targets.

    A share ``lambda ~ Beta(alpha, alpha)``, one a batch, is of the sample itself, the rest of
    another one of the batch. Images are added up in these shares. Spikes stay binary: each comes
    from the one or the other with these probabilities, which, behind a rate code, is the rate code
    of the mixed image.

    Args:
        alpha: near 0 most batches are hardly mixed; at 1 every share is as likely.

    Reference: Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization",
    ICLR 2018, arXiv 1710.09412, equation 1.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    alpha: Annotated[float, Gt(0), Le(100)] = 1.0
    name: Literal["mixup"] = "mixup"

    def __call__(self, loop: TrainingLoop) -> None:
        """Mix every batch."""
        spiking = bool(loop.network.spiking)
        loop.per_sample = False

        def mixed(batch: Batch) -> Batch:
            targets = batch.probabilities(loop.classes)
            drawn = np.random.default_rng(draw_seed(loop.noise))
            share = float(drawn.beta(self.alpha, self.alpha))
            order = torch.randperm(len(targets), generator=loop.noise, device=loop.device)
            others = batch.inputs.index_select(1 if spiking else 0, order)
            inputs = _mixed(batch.inputs, others, share, loop.noise, spiking=spiking)
            return Batch(inputs, share * targets + (1 - share) * targets[order])

        loop.transforms.append(mixed)


def _mixed(
    first: Tensor, second: Tensor, share: float, noise: torch.Generator, *, spiking: bool
) -> Tensor:
    if not spiking:
        return share * first + (1 - share) * second
    own = torch.rand(first.shape, generator=noise, device=first.device) < share
    return torch.where(own, first, second)
