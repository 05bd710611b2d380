"""How a study's attacks are tested and judged."""

from typing import Annotated

from pydantic import Field

from brainleaks.attacks import Attack
from brainleaks.evaluation.controls import CONTROLS, Control
from brainleaks.evaluation.statistics import FEWEST
from brainleaks.networks.config import Strict
from brainleaks.training import LocalTraining

#: Reconstructions of a class, where there are too few classes to compute intervals over.
_REPEATS = 8


class Judging(Strict):
    """How far a run is judged beyond the protocol's metrics.

    Each judge of the panel is trained for ``judge_steps`` steps. ``reconstructions`` a class are
    made by each attack that draws at random, and by the controls one. With fewer than five classes
    both make at least eight, over which intervals are then computed. Without any of the negative
    ``controls`` the verdict is inconclusive.
    """

    judge_steps: Annotated[int, Field(ge=1, le=100_000)] = 600
    reconstructions: Annotated[int, Field(ge=1, le=100)] = 3
    controls: tuple[Control, ...] = CONTROLS

    def repeats(self, attack: Attack, classes: int) -> tuple[int, int]:
        """How many reconstructions of a class an attack makes, and each control of it."""
        if not attack.random:
            return 1, 1
        if classes < FEWEST:
            return (max(self.reconstructions, _REPEATS),) * 2
        return self.reconstructions, 1


class Membership(Strict):
    """How membership is tested.

    At most ``samples`` members and as many non-members are tested, each encoded ``draws`` times.
    ``shadows`` reference networks are trained by the target's recipe on random parts of the data,
    if an attack needs them.
    """

    samples: Annotated[int, Field(ge=10, le=100_000)] = 2000
    draws: Annotated[int, Field(ge=1, le=1000)] = 4
    shadows: Annotated[int, Field(ge=4, le=1024, multiple_of=4)] = 16


class TrainingSteps(Strict):
    """Which training steps are attacked.

    The target takes ``batches`` steps, each on ``batch_size`` other samples of its training set,
    and each from the same weights. The attacker sees the gradient, and knows how many samples and
    time steps there are unless ``batch_size_known`` is false. A device that makes ``local``
    training sends the change of its weights instead. Of several ``clients`` with as many samples
    each, the attacker sees the sum of what they send, as behind secure aggregation.
    """

    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 8
    batches: Annotated[int, Field(ge=2, le=1000)] = 20
    batch_size_known: bool = True
    clients: Annotated[int, Field(ge=1, le=1000, exclude_if=lambda count: count == 1)] = 1
    local: Annotated[LocalTraining | None, Field(exclude_if=lambda chosen: chosen is None)] = None
