"""Weights that are pulled towards zero."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from brainleaks.defences.defence import Acts
from brainleaks.training import TrainingLoop


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class WeightDecay:
    """Shrink every parameter by ``learning_rate * decay`` of itself before each update.

    This is AdamW. Weights of inputs that never fire shrink as well, so that they no longer show
    what the generator drew.

    Args:
        decay: torch's ``weight_decay`` of :class:`torch.optim.AdamW`.

    Reference: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, arXiv
    1711.05101, Algorithm 2.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    decay: Annotated[float, Gt(0), Le(1000)] = 0.01
    name: Literal["weight-decay"] = "weight-decay"

    def __call__(self, loop: TrainingLoop) -> None:
        """Shrink the parameters before each update."""

        @torch.no_grad()
        def shrink(learning_rate: float) -> None:
            for parameter in loop.network.parameters():
                parameter.mul_(1 - learning_rate * self.decay)

        loop.before_update.append(shrink)
