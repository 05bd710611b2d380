"""The attacks, one file each, and the registry of their names."""

from typing import Annotated

from pydantic import Field

from brainleaks.attacks.inversion.boundary import BoundaryRepulsion
from brainleaks.attacks.inversion.brainleaks_v1 import BrainLeaksV1
from brainleaks.attacks.inversion.brainleaks_v2 import BrainLeaksV2
from brainleaks.attacks.inversion.evolution import ScoreEvolution
from brainleaks.attacks.inversion.fredrikson import Fredrikson
from brainleaks.attacks.inversion.gamin import Gamin
from brainleaks.attacks.inversion.pattern_inversion import PatternInversion
from brainleaks.attacks.inversion.smooth_inversion import SmoothInversion
from brainleaks.attacks.inversion.within_prior import WithinPrior

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
