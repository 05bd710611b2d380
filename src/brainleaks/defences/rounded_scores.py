"""Confidences of few digits."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.defences.defence import Acts


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class RoundedScores:
    """Answer with confidences that are rounded to a number of decimal digits.

    Rounded confidences need not add up to one. Whoever has the weights computes the others.

    Args:
        digits: after the decimal point; 0 says only which confidence exceeds one half.

    Reference: Fredrikson, Jha and Ristenpart, "Model inversion attacks that exploit confidence
    information and basic countermeasures", CCS 2015, section 6.

    Example:
        >>> import torch
        >>> RoundedScores(digits=1)(torch.tensor([[0.62, 0.25, 0.13]]))
        tensor([[0.6000, 0.2000, 0.1000]])
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "answers"

    digits: Annotated[int, Ge(0), Le(6)] = 1
    name: Literal["rounded-scores"] = "rounded-scores"

    def __call__(self, scores: Tensor) -> Tensor:
        """Confidences ``(B, C)`` of few digits."""
        return scores.round(decimals=self.digits)
