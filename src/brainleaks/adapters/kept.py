"""Neurons that the fused operator cannot express, run by their own framework step by step."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.order import TIME_FIRST, Order


class Kept(nn.Module):
    """A layer of another framework's neurons, from a reset state over all time steps.

    Args:
        neuron: the layer.
        forget: resets its state.
        whole: whether one call takes all time steps, rather than one.
        states: what it is first given besides its input: the state that it then returns last.
        fires: whether its first output is spikes.
        order: of the axes of what it takes.
        resize: tells it the size of the batch, if it must know.

    Raises:
        CannotLower: if it starts from a state other than nothing or zeros.
    """

    def __init__(
        self,
        neuron: nn.Module,
        forget: Callable[[nn.Module], None],
        *,
        whole: bool,
        states: Sequence[Any],
        fires: bool,
        order: Order = TIME_FIRST,
        resize: Callable[[nn.Module, int], None] | None = None,
    ) -> None:
        super().__init__()
        self.neuron, self.whole, self.fires = neuron, whole, fires
        self.membrane = 0  #: which output the network answers with besides the spikes
        self._forget, self._resize, self._order = forget, resize, order
        self._empty = [_emptied(state) for state in states]

    def forward(self, current: Tensor) -> tuple[Tensor, ...]:
        """``(T, B, ...)`` to all that it answers with, each ``(T, B, ...)``."""
        self._forget(self.neuron)
        try:
            if self.whole:
                return self._run(current)
            states, steps = self._first(current), []
            for now in current:
                output = self.neuron(now, *states)
                states = list(output[-len(states) :]) if states else []
                steps.append(tensors_of(output))
            return tuple(torch.stack(trace) for trace in zip(*steps, strict=True))
        finally:
            self._forget(self.neuron)  # its state hangs on the graph of this call

    def _run(self, current: Tensor) -> tuple[Tensor, ...]:
        """All time steps in one call."""
        steps, batch = current.shape[:2]
        if self._resize is not None:
            self._resize(self.neuron, batch)
        given = tensors_of(self.neuron(self._order.put(current), *self._first(current)))
        taken = [self._order.take(output, steps, batch) for output in given]
        return tuple(g if t is None else t for g, t in zip(given, taken, strict=True))

    def _first(self, current: Tensor) -> list[Any]:
        batch = current.shape[1]
        return [
            None if shape is None else current.new_zeros([batch, *shape] if shape else [0])
            for shape in self._empty
        ]


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors in what a layer returns, those in tuples of it included, in order."""
    return list(_tensors(output))


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)


def _emptied(state: Any) -> tuple[int, ...] | None:
    """The shape of one sample's first state; ``()`` for an empty tensor, ``None`` for none."""
    if state is None:
        return None
    if isinstance(state, Tensor) and not state.any():
        return tuple(state.shape[1:]) if state.numel() else ()
    raise CannotLower("its neurons start from a state that is not zero")
