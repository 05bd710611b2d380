"""The attacks, one file each, and the registry of their names."""

from typing import Annotated

from pydantic import Field

from brainleaks.attacks.boundary import BoundaryRepulsion
from brainleaks.attacks.brainleaks_v1 import BrainLeaksV1
from brainleaks.attacks.brainleaks_v2 import BrainLeaksV2
from brainleaks.attacks.evolution import ScoreEvolution
from brainleaks.attacks.fredrikson import Fredrikson
from brainleaks.attacks.gamin import Gamin
from brainleaks.attacks.pattern_inversion import PatternInversion
from brainleaks.attacks.smooth_inversion import SmoothInversion
from brainleaks.attacks.within_prior import WithinPrior

#: Any attack, told apart by its ``attack`` field: how a study file names one.
Attack = Annotated[
    BrainLeaksV1
    | BrainLeaksV2
    | Fredrikson
    | SmoothInversion
    | PatternInversion
    | ScoreEvolution
    | BoundaryRepulsion
    | Gamin
    | WithinPrior,
    Field(discriminator="attack"),
]

#: Those that need nothing but a target.
ATTACKS: dict[str, type[Attack]] = {
    "fredrikson": Fredrikson,
    "brainleaks-v1": BrainLeaksV1,
    "brainleaks-v2": BrainLeaksV2,
    "smooth-inversion": SmoothInversion,
    "pattern-inversion": PatternInversion,
    "score-evolution": ScoreEvolution,
    "boundary-repulsion": BoundaryRepulsion,
    "gamin": Gamin,
}

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
    "WithinPrior",
]
