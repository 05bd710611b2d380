"""The levels of the verdict, of several groups of runs beside one another."""

from typing import Any

from brainleaks.evaluation.levels import LEVELS
from brainleaks.report.groups import Group


def by_level(groups: list[Group]) -> list[dict[str, Any]]:
    """Each level's name, and the rung of each of a group's runs; without older runs' verdicts."""
    return [
        {"level": level, "name": LEVELS[level].name, "groups": _rungs(groups, level)}
        for level in LEVELS
        if _rungs(groups, level)
    ]


def differing(groups: list[Group]) -> list[str]:
    """A sentence for each level that some group's runs show and another's do not."""
    found = []
    for level in by_level(groups):
        answers = {label: _answer(rungs) for label, rungs in level["groups"].items()}
        if len(answers) > 1 and len(set(answers.values())) > 1 and len(answers) == len(groups):
            said = ", ".join(f"{answer} for {label}" for label, answer in answers.items())
            found.append(f"Level {level['level']}, {level['name']}: {said}.")
    return found


def _rungs(groups: list[Group], level: int) -> dict[str, list[dict[str, Any]]]:
    each = {
        group.label: [
            rung
            for run in group.runs
            for rung in run.results["verdict"].get("levels", ())
            if rung["level"] == level
        ]
        for group in groups
    }
    return {label: rungs for label, rungs in each.items() if rungs}


def _answer(rungs: list[dict[str, Any]]) -> str:
    """What a group's runs answer, in words."""
    found = [rung["status"] for rung in rungs]
    if len(set(found)) == 1:
        return str(found[0]).replace("inconclusive", "not decided")
    return f"yes in {found.count('yes')} of {len(found)} runs"
