"""Evaluation of evidence: judges, similarity, controls, statistics, verdict."""

from brainleaks.evaluation.judge import (
    Draws,
    Judgement,
    judge,
    judge_images,
    judge_spikes,
    scale_each,
)
from brainleaks.evaluation.metrics import Metrics, metrics

__all__ = [
    "Draws",
    "Judgement",
    "Metrics",
    "judge",
    "judge_images",
    "judge_spikes",
    "metrics",
    "scale_each",
]
