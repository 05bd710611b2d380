"""How a long job shows where it is, and goes on after it was cut off."""

from collections.abc import Iterator

from torch import Tensor

State = dict[str, Tensor]


class Monitor:
    """Watches training or an attack iterate; this one watches nothing.

    A job keeps all that it carries from one iteration to the next in a dictionary of tensors. It
    starts from :meth:`resume`, walks :meth:`remaining`, and reports each finished iteration to
    :meth:`advance`. Whoever wants progress or checkpoints overrides these.
    """

    def resume(self, start: State) -> State:
        """The state to go on from: ``start``, or that of a job that was cut off."""
        return start

    def remaining(self, iterations: int) -> Iterator[int]:
        """Iterations still to do."""
        yield from range(iterations)

    def advance(self, iteration: int, state: State, **headline: float) -> None:
        """An iteration is finished; ``headline`` says how the job fares."""
