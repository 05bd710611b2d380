"""Targets that are not quite sure of the class, or more than sure."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from brainleaks.defences.defence import Acts
from brainleaks.training import Batch, TrainingLoop

_Share = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class LabelSmoothing:
    """Train on ``(1 - smoothing) onehot(y) + smoothing / C`` instead of the class.

    Positive smoothing is common, and makes model inversion easier by the reference; negative
    smoothing makes it harder, and is best begun when the network has learned.

    Args:
        smoothing: in [-10, 1]. Negative values ask for confidences above one, which the loss
            rewards without end: clip the gradient.
        ramp: shares of the training, in [0, 1], where smoothing begins and where it is full; in
            between it grows linearly. The reference has (0.5, 0.75) for negative smoothing.

    Reference: Struppek, Hintersdorf and Kersting, "Be careful what you smooth for", ICLR 2024,
    arXiv 2310.06549, section 3.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    smoothing: Annotated[float, Ge(-10), Le(1)] = 0.1
    ramp: tuple[_Share, _Share] = (0.0, 0.0)
    name: Literal["label-smoothing"] = "label-smoothing"

    @model_validator(mode="after")
    def _in_order(self) -> "LabelSmoothing":
        if self.ramp[0] > self.ramp[1]:
            raise ValueError("ramp: smoothing must begin before it is full")
        return self

    def at(self, progress: float) -> float:
        """The smoothing when this share of the training has been done."""
        begin, full = self.ramp
        if progress >= full:
            return self.smoothing
        return self.smoothing * max(0.0, progress - begin) / (full - begin)

    def __call__(self, loop: TrainingLoop) -> None:
        """Smooth the targets of every batch."""

        def smoothed(batch: Batch) -> Batch:
            share, targets = self.at(loop.progress), batch.probabilities(loop.classes)
            return batch._replace(targets=(1 - share) * targets + share / loop.classes)

        loop.transforms.append(smoothed)
