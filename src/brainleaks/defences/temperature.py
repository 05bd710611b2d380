"""Confidences that say less of how sure the network is."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.defences.defence import Acts


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Temperature:
    """Answer with confidences ``p_c^(1 / temperature)``, scaled to add up to one.

    Of a single time step this is the softmax of the logits over the temperature. An attacker who
    knows the temperature undoes it.

    Args:
        temperature: above 1 it evens the confidences out, below it sharpens them.

    Reference: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML
    2017, section 4.2; as a defence, Shokri, Stronati, Song and Shmatikov, "Membership inference
    attacks against machine learning models", S&P 2017, section VIII.

    Example:
        >>> import torch
        >>> Temperature(temperature=2)(torch.tensor([[0.64, 0.36]]))
        tensor([[0.5714, 0.4286]])
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "answers"

    temperature: Annotated[float, Gt(0), Le(1000)] = 10.0
    name: Literal["temperature"] = "temperature"

    def __call__(self, scores: Tensor) -> Tensor:
        """Confidences ``(B, C)`` at this temperature."""
        return (scores.clamp_min(1e-30).log() / self.temperature).softmax(1)
