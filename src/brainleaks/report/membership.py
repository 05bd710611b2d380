"""Membership over several seeds: each attack's figures, and what the verdicts say."""

from collections.abc import Callable
from typing import Any

#: What is left of a run's evidence in a table's JSON: all but the curves.
_CURVES = ("roc",)


def without_curves(evidence: dict[str, Any]) -> dict[str, Any]:
    """A run's evidence on membership as a table keeps it."""
    attacks = {
        name: {key: value for key, value in found.items() if key not in _CURVES}
        for name, found in evidence["attacks"].items()
    }
    return evidence | {"attacks": attacks}


def over_seeds(
    each: list[dict[str, Any]], interval: Callable[[list[float]], Any]
) -> dict[str, Any] | None:
    """One study's runs with several seeds, as JSON.

    Args:
        each: the results of the runs.
        interval: a mean over seeds and its interval.

    Returns:
        ``answers``: level 3 of each run's verdict; the number of ``members``, ``non_members`` and
        ``shadows``; ``shift``; and by attack the mean over seeds of its AUC, its true-positive
        rates, its control's AUC, and seconds. ``None`` if a run did not test membership.
    """
    found = [results.get("evidence", {}).get("membership") for results in each]
    if not all(found):
        return None
    evidence: list[dict[str, Any]] = [one for one in found if one]
    first = evidence[0]
    shared = [n for n in first["attacks"] if all(n in one["attacks"] for one in evidence)]
    shifts = [one["shift"]["value"] for one in evidence if one["shift"]]
    return {
        "answers": [_answer(results) for results in each],
        **{key: first[key] for key in ("members", "non_members", "shadows", "draws")},
        "shift": interval(shifts) if len(shifts) == len(evidence) else None,
        "attacks": {
            name: _attack([one["attacks"][name] for one in evidence], interval) for name in shared
        },
    }


def _answer(results: dict[str, Any]) -> str:
    rungs = results["verdict"].get("levels", [])
    return next((rung["status"] for rung in rungs if rung["level"] == 3), "not tested")


def _attack(
    entries: list[dict[str, Any]], interval: Callable[[list[float]], Any]
) -> dict[str, Any]:
    others = [entry["controls"].get("other-target") for entry in entries]
    return {
        "auc": interval([entry["auc"]["value"] for entry in entries]),
        "tpr": {
            rate: interval([entry["tpr_at_fpr"][rate]["value"] for entry in entries])
            for rate in entries[0]["tpr_at_fpr"]
        },
        "control": interval([other["value"] for other in others if other]) if all(others) else None,
        "balanced_accuracy": interval([entry["balanced_accuracy"] for entry in entries]),
        "seconds": sum(entry["seconds"] for entry in entries) / len(entries),
    }
