"""What every attack declares."""

from typing import Any, ClassVar, Protocol

from torch import Tensor

from brainleaks.target import Access


class Attack(Protocol):
    """A frozen dataclass of hyper-parameters, and a call.

    Attributes:
        kind: the kind of evidence that it gives; see :mod:`brainleaks.pipeline.evidence`. The kind
            says what the attack is called with and what it returns.
        version: raised by its author when what it computes changes.
        spiking: whether it attacks spiking networks, ordinary ones, or, if ``None``, both.
        random: whether another generator gives another result.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    kind: ClassVar[str]
    version: ClassVar[int]
    spiking: ClassVar[Any]
    random: ClassVar[bool]

    @property
    def attack(self) -> str:
        """Its name."""

    @property
    def access(self) -> Access:
        """The least access that it needs."""

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        """Run the attack on a target."""
