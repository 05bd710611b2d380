"""Stage: one evaluator's judgement of one reconstruction a class."""

from torch import Tensor, nn

from brainleaks.evaluation import Judgement, judge
from brainleaks.monitor import Monitor
from brainleaks.randomness import stream


def judge_all(
    evaluator: nn.Module,
    values: Tensor,
    *,
    draws: int,
    name: str,
    seed: int,
    monitor: Monitor | None = None,
) -> Judgement:
    """Judge reconstructions by the evaluator called ``name`` of the run with this seed."""
    generator = stream(seed, name, "judgement")
    return judge(evaluator, values, draws=draws, generator=generator, monitor=monitor)
