"""A run in the output of a notebook's cell: HTML without scripts, styled in place."""

from typing import Any

from brainleaks.report.gallery import encoded, gallery, shown
from brainleaks.report.metrics import LIKENESS, MEMORISATION, PANEL
from brainleaks.report.run import Run
from brainleaks.report.tables import attack_rows
from brainleaks.report.template import fragment

#: Characters for pictures, and classes and rows that are shown; the report has all.
_BUDGET, _MOST_CLASSES, _MOST_ROWS = 400_000, 10, 40
_MEASURES = (PANEL, LIKENESS, MEMORISATION)


def shown_in_notebook(run: Run) -> str:
    """The verdict, its levels, the pictures of the leading attack, and the attacks."""
    results = run.results
    likeness = {name: found["metrics"] for name, found in results["likeness"].items()}
    rows = attack_rows(likeness, results["controls"])
    return str(
        fragment(
            "notebook.html.j2",
            results=results,
            verdict=results["verdict"],
            gallery=_gallery(run) if run.attacks else None,
            rows=rows[:_MOST_ROWS],
            left_out=max(0, len(rows) - _MOST_ROWS),
            measures=[m for m in _MEASURES if any(m.key in row["metrics"] for row in rows)],
            membership=results["evidence"].get("membership", {}).get("attacks", {}),
        )
    )


def _gallery(run: Run) -> dict[str, Any]:
    name = run.leading_attack
    wanted = (name, f"{name}.nearest", f"{name}.seen", f"{name}.control", "training sample")
    few = {label: row[:_MOST_CLASSES] for label, row in shown(run).items() if label in wanted}
    found = gallery(run, name, encoded(few, _BUDGET), most=_MOST_CLASSES)
    left = len(run.class_names) - len(found["classes"])
    return {"attack": name, "classes": found["classes"], "left_out": left}
