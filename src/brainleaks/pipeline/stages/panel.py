"""Stages: a judge of the panel, and what the panel says of reconstructions."""

from torch import Tensor

from brainleaks.data.dataset import Samples
from brainleaks.evaluation.panel import Judge, References, recognition, scores, train
from brainleaks.monitor import Monitor


def train_judge(
    judge: Judge, held_out: Samples, *, steps: int, seed: int, monitor: Monitor
) -> dict[str, float]:
    """Train a judge in place, and measure it on samples that it did not learn from."""
    train(judge, steps=steps, seed=seed, monitor=monitor)
    return {"test_accuracy": recognition(judge, held_out, seed=seed)}


def score_all(
    judges: list[Judge],
    values: Tensor,
    labels: Tensor,
    references: References,
    *,
    seed: int,
    monitor: Monitor,
) -> dict[str, Tensor]:
    """Every score of each reconstruction, ``(B,)``."""
    return scores(judges, values, labels, references, seed=seed)
