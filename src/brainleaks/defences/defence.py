"""What every defence declares."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import nn

#: What a defence acts on, in the order in which a model comes to be and is asked.
Acts = Literal["training", "weights", "neurons", "answers", "step"]
ACTS: tuple[Acts, ...] = get_args(Acts)


class Defence(Protocol):
    """A frozen dataclass of settings, and a call.

    What it acts on says how it is called and what it returns:

    ============  ====================================  ========================================
    ``acts``      called with                           what it does
    ============  ====================================  ========================================
    ``training``  ``(loop)``                            changes the loop: batches, loss, gradients,
                                                        when it ends
    ``weights``   ``(network, samples, *, generator)``  returns a network with other weights
    ``neurons``   ``(network, samples, *, generator)``  returns a network with other neurons
    ``answers``   ``(scores)``                          returns what the model answers instead
    ``step``      ``(gradients, *, generator)``         returns what is sent of a training step
    ============  ====================================  ========================================

    ``loop`` is a :class:`~brainleaks.training.TrainingLoop`, ``samples`` are what the network was
    trained on, ``scores`` are confidences ``(B, C)``, and ``gradients`` are by the names of the
    parameters. A defence changes no network that it is given; it copies it. An attacker who has the
    weights is not bound by what the model answers, and inverts what ``undo`` makes of the network
    where a defence has that method (:class:`Undoable`).

    Attributes:
        version: raised by its author when what it computes changes.
        acts: what it acts on.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    version: ClassVar[int]
    acts: ClassVar[Acts]

    @property
    def name(self) -> str:
        """Its name."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Apply it."""


@runtime_checkable
class Undoable(Protocol):
    """A defence of weights of which an attacker who knows it can undo a part."""

    version: ClassVar[int]

    @property
    def name(self) -> str:
        """Its name."""

    def undo(self, network: nn.Module, *, generator: torch.Generator) -> nn.Module:
        """The network that such an attacker inverts instead of the one that is deployed."""


def acting(defences: Sequence[Defence], *where: Acts) -> list[Defence]:
    """Those that act on any of these, in their order."""
    return [defence for defence in defences if defence.acts in where]
