"""The attacks, one file each, and the registry of their names.

Every file below this folder is searched: an attack is a dataclass that names itself (``attack``)
and the kind of evidence that it gives (``kind``), so a new one needs no entry anywhere else.
"""

import pkgutil
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from brainleaks.attacks.attack import Attack
from brainleaks.attacks.inversion.boundary import BoundaryRepulsion
from brainleaks.attacks.inversion.brainleaks_v1 import BrainLeaksV1
from brainleaks.attacks.inversion.brainleaks_v2 import BrainLeaksV2
from brainleaks.attacks.inversion.evolution import ScoreEvolution
from brainleaks.attacks.inversion.fredrikson import Fredrikson
from brainleaks.attacks.inversion.gamin import Gamin
from brainleaks.attacks.inversion.pattern_inversion import PatternInversion
from brainleaks.attacks.inversion.smooth_inversion import SmoothInversion
from brainleaks.attacks.inversion.statistics_inversion import StatisticsInversion
from brainleaks.attacks.inversion.stream_inversion import StreamInversion
from brainleaks.attacks.inversion.within_prior import WithinPrior
from brainleaks.target import RANKS


def _found() -> Iterator[type[Any]]:
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        for value in vars(import_module(module.name)).values():
            own = isinstance(value, type) and value.__module__ == module.name
            if own and hasattr(value, "attack") and hasattr(value, "kind"):
                yield value


def _by_access(attack: type[Any]) -> tuple[int, str]:
    """Those that see most come first."""
    return -RANKS.index(attack.access), attack.attack


_ALL = list(_found())

#: The attacks by name, but those within a prior, which only a study can declare.
ATTACKS: dict[str, type[Attack]] = {
    attack.attack: attack
    for attack in sorted((a for a in _ALL if a is not WithinPrior), key=_by_access)
}


def suits(attack: Any, encoding: str | None) -> bool:
    """Whether an attack works behind an encoding, or without one; most do behind any."""
    encodings = getattr(attack, "encodings", None)
    return encodings is None or encoding in encodings


def by_default(attack: Any) -> bool:
    """Whether an audit uses an attack that suits without being told to; most it does."""
    return bool(getattr(attack, "by_default", True))


if TYPE_CHECKING:
    AnyAttack = Attack
else:
    #: Any attack, distinguished by its ``attack`` field, as a study file names it.
    AnyAttack = Annotated[reduce(or_, _ALL), Field(discriminator="attack")]

__all__ = [
    "ATTACKS",
    "Attack",
    "BoundaryRepulsion",
    "BrainLeaksV1",
    "BrainLeaksV2",
    "Fredrikson",
    "Gamin",
    "PatternInversion",
    "ScoreEvolution",
    "SmoothInversion",
    "StatisticsInversion",
    "StreamInversion",
    "WithinPrior",
    "by_default",
    "suits",
]
