"""From images to what a network takes."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.signals import Signal


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class RateCode:
    """Bernoulli rate code: a pixel is the probability of a spike at every time step.

    Args:
        steps: length ``T`` of the spike trains.
    """

    takes: ClassVar[tuple[Signal, ...]] = ("image",)

    steps: Annotated[int, Ge(1)] = 25
    encoding: Literal["rate"] = "rate"

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images ``(B, ...)`` in [0, 1] to fresh spikes ``(T, B, ...)``."""
        return bernoulli(images.expand(self.steps, *images.shape), generator)


def bernoulli(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Independent spikes, 0 or 1, of the shape and type of ``probabilities``."""
    noise = torch.empty_like(probabilities, memory_format=torch.contiguous_format)
    return (noise.uniform_(generator=generator) < probabilities).to(probabilities.dtype)


def as_images(images: Tensor, generator: torch.Generator) -> Tensor:
    """The encoding of ordinary networks: none."""
    return images
