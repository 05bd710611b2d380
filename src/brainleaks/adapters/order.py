"""The order of axes: brainleaks has time first, some frameworks the batch or one axis for both."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Order:
    """How a framework orders the axes of what is ``(T, B, ...)`` here.

    Args:
        batch_first: whether the batch comes before time.
        rows: whether both share the first axis.
    """

    batch_first: bool = False
    rows: bool = False

    @property
    def apart(self) -> "Order":
        """The same order with an axis each for time and batch."""
        return Order(self.batch_first)

    @property
    def together(self) -> "Order":
        """The same order with one axis for both."""
        return Order(self.batch_first, rows=True)

    def put(self, trace: Tensor) -> Tensor:
        """``(T, B, ...)`` as the framework has it."""
        ordered = trace.transpose(0, 1) if self.batch_first else trace
        return ordered.flatten(0, 1) if self.rows else ordered

    def take(self, tensor: Tensor, steps: int, batch: int) -> Tensor | None:
        """The inverse of :meth:`put`; ``None`` where the tensor is none of these."""
        lead = (batch, steps) if self.batch_first else (steps, batch)
        if self.rows:
            if tensor.ndim < 2 or len(tensor) != steps * batch:
                return None
            tensor = torch.as_tensor(tensor.unflatten(0, lead))
        elif tensor.ndim < 3 or tuple(tensor.shape[:2]) != lead:
            return None
        return tensor.transpose(0, 1) if self.batch_first else tensor


TIME_FIRST = Order()
