"""A clipped update with Gaussian noise."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.defences.defence import Acts


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class NoisyUpdate:
    """Clip what a device sends to a norm, and add Gaussian noise to every entry.

    The norm is that of all parameters together. Clipping alone scales the update and hides nothing.

    Args:
        max_norm: the largest norm of what is sent.
        noise: standard deviation of the noise, relative to ``max_norm``.

    Reference: McMahan, Ramage, Talwar and Zhang, "Learning differentially private recurrent
    language models", ICLR 2018, Algorithm 1 (there the server adds the noise, to a mean).

    Example:
        >>> import torch
        >>> send = NoisyUpdate(max_norm=1.0, noise=0.0)
        >>> send({"weight": torch.tensor([3.0, 4.0])}, generator=torch.Generator())
        {'weight': tensor([0.6000, 0.8000])}
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "step"

    max_norm: Annotated[float, Gt(0)] = 1.0
    noise: Annotated[float, Ge(0)] = 1e-3
    name: Literal["noisy-update"] = "noisy-update"

    def __call__(
        self, gradients: Mapping[str, Tensor], *, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What is sent, by the names of the parameters."""
        norm = float(torch.stack([g.double().norm() for g in gradients.values()]).norm())
        scale, deviation = min(1.0, self.max_norm / max(norm, 1e-30)), self.noise * self.max_norm
        return {name: g * scale + deviation * _noise(g, generator) for name, g in gradients.items()}


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
    return drawn.to(like.device)
