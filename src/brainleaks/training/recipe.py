"""The hyper-parameters of a training (PROTOCOL, Training)."""

import math
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Recipe:
    """Adam, betas (0.9, 0.999), on the cross-entropy of the output summed over time.

    Args:
        learning_rate: Adam's step size.
        batch_size: samples a step.
        epochs: passes over the training set; none leave a network as it was drawn.
        gradient_clip: largest norm of the whole gradient; ``None`` leaves it alone.
        schedule: ``"constant"``, or ``"cosine"``: the learning rate falls to nearly 0 along half a
            period of a cosine, step by step (Loshchilov and Hutter 2017, arXiv 1608.03983).
        crop: the largest shift of each training image, in pixels, drawn again each epoch.
        flip: whether each training image is mirrored left to right with probability 1/2.
    """

    learning_rate: Annotated[float, Gt(0)]
    batch_size: Annotated[int, Ge(1)]
    epochs: Annotated[int, Ge(0)]
    gradient_clip: Annotated[float, Gt(0)] | None = None
    # absent where not used: what identifies a training does not change by what it leaves out
    schedule: Annotated[
        Literal["constant", "cosine"], Field(exclude_if=lambda chosen: chosen == "constant")
    ] = "constant"
    crop: Annotated[int, Ge(0), Field(exclude_if=lambda pixels: pixels == 0)] = 0
    flip: Annotated[bool, Field(exclude_if=lambda chosen: not chosen)] = False

    def rate(self, done: float) -> float:
        """The learning rate when a share ``done`` of all steps, in [0, 1), has been made."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2

    @property
    def augments(self) -> bool:
        """Whether training images are shifted or mirrored."""
        return self.crop > 0 or self.flip


def settings(recipe: Recipe) -> dict[str, Any]:
    """A recipe as a study file holds it, without what it does not use."""
    return dict(TypeAdapter(Recipe).dump_python(recipe, mode="json"))
