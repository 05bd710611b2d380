"""The class alone."""

from typing import ClassVar, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

from brainleaks.defences.defence import Acts


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Top1:
    """Answer with the class of the largest confidence, and no confidence.

    The scores that an attacker is given are 1 for that class and 0 for the others. Attacks that
    need labels alone see what they saw before, and so does whoever has the weights.

    Reference: Choquette-Choo, Tramer, Carlini and Papernot, "Label-only membership inference
    attacks", ICML 2021, which shows that membership still leaks.

    Example:
        >>> import torch
        >>> Top1()(torch.tensor([[0.62, 0.25, 0.13]]))
        tensor([[1., 0., 0.]])
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "answers"

    name: Literal["top-1"] = "top-1"

    def __call__(self, scores: Tensor) -> Tensor:
        """Confidences ``(B, C)`` of 0 and 1."""
        return functional.one_hot(scores.argmax(1), scores.shape[1]).to(scores.dtype)
