"""Paired statistics of two groups of runs: which leaks more."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainleaks.evaluation.class_content import DECISIVE
from brainleaks.evaluation.statistics import holm, paired
from brainleaks.report.groups import Group, Values, measured, over_seeds, table
from brainleaks.report.metrics import CORRELATION, SSIM, SUMMARY

TITLES = {measure.key: measure.title for measure in SUMMARY}
_COMPARED = (*DECISIVE, SSIM.key, CORRELATION.key)
_SIGNIFICANT = 0.05


def tests(groups: list[Group], judges: list[str]) -> list[dict[str, Any]]:
    """Paired differences between the attacks of each two groups, corrected after Holm.

    ``judges`` are those whose mean the panel is.
    """
    found = list(_tests(groups, judges))
    corrected = holm([test["p"] for test in found])
    return [{**test, "p_holm": p} for test, p in zip(found, corrected, strict=True)]


def sentences(groups: list[Group], found: list[dict[str, Any]]) -> list[str]:
    """What the tests show, in words."""
    leaking = {
        f"{attack} on {group.label}"
        for group in groups
        for attack in group.attacks
        if all(run.results["verdict"]["verdict"] == "leak" for run in group.runs)
    }
    return [_sentence(test, leaking) for test in found if _tells(test)]


def _tests(groups: list[Group], judges: list[str]) -> Iterator[dict[str, Any]]:
    """Paired differences between the attacks of each two groups."""
    for first, second in itertools.combinations(groups, 2):
        for a, b in _attack_pairs(first, second):
            for measure in _COMPARED:
                one, other = _paired_values(
                    measured(first, measure, judges, a), measured(second, measure, judges, b)
                )
                difference = paired(one, other) if one.size else None
                if difference is not None:
                    yield {
                        "metric": measure,
                        "first": f"{a} on {first.label}",
                        "second": f"{b} on {second.label}",
                        **difference,
                    }


def _attack_pairs(first: Group, second: Group) -> list[tuple[str, str]]:
    """The attacks that both have; without any, each of one with each of the other."""
    shared = [(name, name) for name in first.attacks if name in second.attacks]
    return shared or list(itertools.product(first.attacks, second.attacks))


def _paired_values(first: Values, second: Values) -> tuple[NDArray[np.float64], ...]:
    """Both sides as tables of seeds and classes, or, if no seed is the same, means over seeds."""
    if not first.keys() & second.keys():
        first, second = over_seeds(first), over_seeds(second)
    shared = [cluster for cluster in first if cluster in second]
    return table(first, shared), table(second, shared)


def _tells(test: dict[str, Any]) -> bool:
    """Whether a test shows that one side's reconstructions score higher."""
    return test["metric"] in DECISIVE and test["p_holm"] < _SIGNIFICANT


def _sentence(test: dict[str, Any], leaking: set[str]) -> str:
    """What a test says; without a verdict of a leak, a higher score is not more of one."""
    more, less, sign = ("first", "second", 1) if test["difference"] > 0 else ("second", "first", -1)
    does = "leaks more" if test[more] in leaking else "scores higher, without a verdict of a leak,"
    low, high = sorted((sign * test["low"], sign * test["high"]))
    effect = "" if test["effect"] is None else f", effect d = {abs(test['effect']):.2f}"
    probability = "p < 0.001" if test["p_holm"] < 0.001 else f"p = {test['p_holm']:.3f}"
    return (
        f"{test[more]} {does} than {test[less]}: {TITLES[test['metric']].lower()} is "
        f"{abs(test['difference']):.3f} higher (interval {low:.3f} to {high:.3f}, "
        f"{probability} after Holm{effect})."
    )
