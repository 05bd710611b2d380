"""The rows of the pages' tables: attacks beside their controls."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from brainleaks.report.metrics import SUMMARY, Measure, widened


class Row(TypedDict):
    """An attack or one of its controls, and what was measured of it; ``of`` is the attack."""

    name: str
    role: str
    of: str
    metrics: dict[str, Any]


def attack_rows(
    attacks: Mapping[str, dict[str, Any]], controls: Iterable[dict[str, Any]]
) -> list[Row]:
    """Each attack, and under it its controls.

    Args:
        attacks: the metrics of each.
        controls: ``attack``, ``control``, ``negative`` and ``metrics`` of each.
    """
    rows = []
    for name, metrics in attacks.items():
        rows.append(Row(name=name, role="attack", of=name, metrics=metrics))
        rows += [
            Row(name=entry["control"], role=_role(entry), of=name, metrics=entry["metrics"])
            for entry in controls
            if entry["attack"] == name
        ]
    return rows


def _role(control: dict[str, Any]) -> str:
    return "negative control" if control["negative"] else "positive control"


def shown_measures(rows: Iterable[Row]) -> list[Measure]:
    """The measures that some row has, each on a scale that all of its intervals fit."""
    every = [row["metrics"] for row in rows]
    found = {m: [metrics[m.key] for metrics in every if m.key in metrics] for m in SUMMARY}
    return [widened(measure, entries) for measure, entries in found.items() if entries]
