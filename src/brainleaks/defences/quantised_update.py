"""An update of few bits an entry."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.defences.defence import Acts


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class QuantisedUpdate:
    """Round each entry of what a device sends to a few levels, up or down at random.

    The levels of a parameter are evenly spaced between minus and plus its largest entry. An entry
    is rounded up with the probability that keeps its mean.

    Args:
        bits: of an entry, sign included; ``b`` bits have ``2^b - 1`` levels.

    Reference: Alistarh, Grubic, Li, Tomioka and Vojnovic, "QSGD: communication-efficient SGD via
    gradient quantization and encoding", NeurIPS 2017, section 3.1; here scaled by the largest
    entry instead of the norm.

    Example:
        >>> import torch
        >>> send = QuantisedUpdate(bits=2)
        >>> send({"weight": torch.tensor([-2.0, 0.0, 2.0])}, generator=torch.Generator())
        {'weight': tensor([-2.,  0.,  2.])}
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "step"

    bits: Annotated[int, Ge(2), Le(16)] = 8
    name: Literal["quantised-update"] = "quantised-update"

    def __call__(
        self, gradients: Mapping[str, Tensor], *, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What is sent, by the names of the parameters."""
        return {name: self._rounded(g, generator) for name, g in gradients.items()}

    def _rounded(self, gradient: Tensor, generator: torch.Generator) -> Tensor:
        spacing = gradient.abs().max() / (2 ** (self.bits - 1) - 1)
        if not spacing > 0:
            return gradient.clone()
        drawn = torch.rand(
            gradient.shape, generator=generator, dtype=gradient.dtype, device=generator.device
        )
        rounded: Tensor = (gradient / spacing + drawn.to(gradient.device)).floor() * spacing
        return rounded
