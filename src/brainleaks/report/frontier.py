"""The table of a sweep over defences: what each keeps from attackers, and what it costs."""

from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from brainleaks.evaluation.levels import LEVELS
from brainleaks.files import atomic
from brainleaks.report.defended import described, listed
from brainleaks.report.summary import Record, interval, machines

#: What membership attacks are compared by; the area where there are too few samples for the rate.
_FALSE_ALARMS, RATE, AREA = "0.01", "members found", "AUC"
_NEEDED = ("preset", "seed", "target", "defences", "evidence", "likeness", "verdict")
_LIKENESS = "blurred_correlation_members"
#: What a defence may cost, in test accuracy, to count as cheap.
CHEAP = 0.02


def write_frontier(
    runs: dict[str, list[Record]],
    presets: dict[str, list[str]],
    *,
    left_out: dict[str, str],
    page: Path,
    command: str,
    title: str,
) -> None:
    """Write the table, and the same as JSON beside it.

    Args:
        runs: the finished runs of each study, one a seed.
        presets: the studies of each preset, with different defences.
        left_out: the studies that were not run, and why.
        page: the table to write.
        command: what was typed.
        title: of the page.

    Raises:
        InputError: if it cannot be written.
    """
    tables = {
        preset: frontier({name: runs[name] for name in names if name in runs})
        for preset, names in presets.items()
    }
    cells = [{"study": name, "runs": list(map(_kept, each))} for name, each in runs.items()]
    content = {"command": command, "tables": tables, "cells": cells, "left_out": left_out}
    atomic.write_json(page.with_suffix(".json"), content)
    source = (resources.files("brainleaks.report") / "frontier.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(  # noqa: S701 (Markdown, of our own words and numbers)
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"measured": _measured, "listed": listed}
    template = environment.from_string(source)
    atomic.write_text(page, template.render(content, title=title, levels=LEVELS, cheap=CHEAP))


def frontier(runs: dict[str, list[Record]]) -> dict[str, Any]:
    """The rows of one preset, and the best that costs little.

    Args:
        runs: of each of its studies, one a seed.

    Returns:
        ``rows`` (see :func:`row`), each with ``optimal``: whether no other row has at least its
        accuracy and at most its two measures of leakage, and something better; ``cheapest``, the
        row that leaks least of membership among those within :data:`CHEAP` of the undefended
        target's accuracy; ``measure``, of membership; and ``machines``.
    """
    every = [run["results"] for each in runs.values() for run in each]
    measure = RATE if all(map(_has_rate, every)) else AREA
    rows = [row(name, each, measure) for name, each in runs.items()]
    for one in rows:
        one["optimal"] = not any(_better(other, one) for other in rows)
    undefended = next((one for one in rows if not one["defended"]), None)
    cheap = [one for one in rows if undefended and _is_cheap(one, undefended)]
    return {
        "measure": measure,
        "rows": rows,
        "undefended": undefended,
        "cheapest": min(cheap, key=lambda one: one["members"]["mean"], default=None),
        "machines": machines([run["provenance"] for each in runs.values() for run in each]),
    }


def row(name: str, runs: list[Record], measure: str = RATE) -> dict[str, Any]:
    """One setting: means over seeds, with the attack that found most of each kind.

    Args:
        name: of the study.
        runs: one a seed.
        measure: of membership: :data:`RATE`, the share of training samples that are found at 1 %
            false alarms, or :data:`AREA`, the area under the ROC curve.

    Returns:
        ``accuracy``, ``members`` (the measure, of the attack that finds most) and ``likeness`` (the
        largest correlation of an attack's reconstructions with their class, blurred) as intervals
        over seeds; ``spikes``; the largest ``bound`` on epsilon from below; the ``attacks`` that
        were strongest; the ``levels`` of each seed's verdict; and the ``facts`` that each defence
        found.
    """
    each = [run["results"] for run in runs]
    found = [_strongest_membership(results, measure) for results in each]
    made = [_nearest_reconstruction(results) for results in each]
    spikes = [results["target"]["spikes"] for results in each if "spikes" in results["target"]]
    defences = each[0].get("defences", [])
    return {
        "study": name,
        "defences": described(defences) or "none",
        "defended": bool(defences),
        "facts": {d["name"]: d["facts"] for d in defences if d.get("facts")},
        "command": runs[0]["provenance"]["command"],
        "seeds": [results["seed"] for results in each],
        "accuracy": interval([results["target"]["test_accuracy"] for results in each]),
        "spikes": sum(spikes) / len(spikes) if spikes else None,
        "members": interval([value for _, value in found]),
        "likeness": interval([value for _, value in made]),
        "attacks": {"membership": [n for n, _ in found], "inversion": [n for n, _ in made]},
        "bound": max((b for b in map(_bound, each) if b is not None), default=None),
        "levels": {level: [_answer(results, level) for results in each] for level in LEVELS},
    }


def _kept(run: Record) -> Record:
    """As much of a run as its row needs."""
    results = {key: value for key, value in run["results"].items() if key in _NEEDED}
    levels = [{key: rung[key] for key in ("level", "status")} for rung in _rungs(results)]
    return {**run, "results": results | {"verdict": {"levels": levels}}}


def _rungs(results: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = results["verdict"]["levels"]
    return found


def _bound(results: dict[str, Any]) -> float | None:
    """The lower bound on epsilon that membership attacks on reference networks give."""
    found = results["evidence"]["membership"].get("epsilon")
    return found["low"] if found else None


def _has_rate(results: dict[str, Any]) -> bool:
    attacks = results["evidence"]["membership"]["attacks"].values()
    return all(_FALSE_ALARMS in found["tpr_at_fpr"] for found in attacks)


def _strongest_membership(results: dict[str, Any], measure: str) -> tuple[str, float]:
    attacks = results["evidence"]["membership"]["attacks"]
    each = {
        name: found["tpr_at_fpr"][_FALSE_ALARMS] if measure == RATE else found["auc"]
        for name, found in attacks.items()
    }
    name = max(each, key=lambda name: each[name]["value"])
    return name, each[name]["value"]


def _nearest_reconstruction(results: dict[str, Any]) -> tuple[str, float]:
    each = {n: found["metrics"][_LIKENESS]["value"] for n, found in results["likeness"].items()}
    there = {name: value for name, value in each.items() if value is not None}
    return max(there.items(), key=lambda item: item[1])


def _answer(results: dict[str, Any], level: int) -> str:
    status = (rung["status"] for rung in _rungs(results) if rung["level"] == level)
    return next(status, "not tested")


def _better(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a row dominates another."""
    a, b = (
        (-found["accuracy"]["mean"], found["members"]["mean"], found["likeness"]["mean"])
        for found in (one, other)
    )
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _is_cheap(one: dict[str, Any], undefended: dict[str, Any]) -> bool:
    lost = undefended["accuracy"]["mean"] - one["accuracy"]["mean"]
    return bool(one["defended"] and lost <= CHEAP)


def _measured(entry: dict[str, Any]) -> str:
    text = f"{entry['mean']:.3f}"
    return text if entry["low"] is None else f"{text} [{entry['low']:.3f}, {entry['high']:.3f}]"
