"""Pooling: the evaluation of one study's seeds, as one table of runs and classes."""

import math
from typing import Any

from brainleaks.evaluation.class_content import DECISIVE, Scores, claims
from brainleaks.evaluation.controls import Control
from brainleaks.evaluation.statistics import Interval, interval
from brainleaks.evaluation.verdict import decide

#: Of each attack, what is said of it: the measures that decide, and the likeness people know.
SAID = (
    *DECISIVE,
    "distinctness",
    "ssim_members",
    "ssim_held_out",
    "correlation_members",
    "mean_correlation_members",
    "memorisation",
)


def pooled(each: list[dict[str, Any]]) -> dict[str, Any] | None:
    """One verdict on several runs, and each attack's measures beside its controls'.

    Args:
        each: the results of the runs, which differ in nothing but their seeds.

    Returns:
        ``verdict``, as of one run; ``verdicts``, the word of each run; ``attacks``, by attack
        and then by ``attack`` or the control's name, the intervals of :data:`SAID`. ``None`` if a
        run was not judged by the panel.
    """
    if not all(results["likeness"] for results in each):
        return None
    attacks = {
        name: _pool([results["likeness"][name]["metrics"] for results in each])
        for name in each[0]["likeness"]
        if all(name in results["likeness"] for results in each)
    }
    beside = {name: _controls(name, each) for name in attacks}
    decided = decide(
        claims(
            attacks,
            beside,
            sound_judges=min(sum(j["counts"] for j in results["judges"]) for results in each),
            classes=each[0]["dataset"]["classes"],
        )
    )
    return {
        "verdict": dict(decided),
        "verdicts": [results["verdict"]["verdict"] for results in each],
        "attacks": {
            name: {"attack": _said(scores)}
            | {str(control): _said(found) for control, found in beside[name].items()}
            for name, scores in attacks.items()
        },
    }


def _said(scores: Scores) -> dict[str, Interval]:
    return {key: interval(scores.get(key, [])) for key in SAID}


def _controls(attack: str, each: list[dict[str, Any]]) -> dict[Control, Scores]:
    """An attack's controls that all runs have."""
    runs = [
        {c["control"]: c["metrics"] for c in results["controls"] if c["attack"] == attack}
        for results in each
    ]
    return {
        control: _pool([run[control] for run in runs])
        for control in runs[0]
        if all(control in run for run in runs)
    }


def _pool(metrics: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """Each run's values by class, of what was measured in all of them."""
    shared = [key for key in metrics[0] if all(key in found for found in metrics)]
    return {
        key: [[_number(value) for value in found[key]["by_class"]] for found in metrics]
        for key in shared
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else value
