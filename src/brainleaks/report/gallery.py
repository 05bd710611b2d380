"""The gallery: reconstructions by class, with similar samples and controls."""

from collections.abc import Hashable
from typing import Any, TypeVar

from brainleaks.report.figures import Picture
from brainleaks.report.images import still_uris
from brainleaks.report.metrics import CORRELATION, PANEL
from brainleaks.report.run import Run

#: Characters of a page for pictures; with its recordings, it stays under 5 MB.
STILLS = 2_300_000
TRUTH = "training sample"

_Key = TypeVar("_Key", bound=Hashable)


def shown(run: Run) -> dict[str, list[Picture]]:
    """The pictures of a run: what is evidence, else a training sample of each class."""
    made = {name: run.rates(run.reconstruction(name)) for name in run.attacks}
    beside = run.evidence or {TRUTH: run.rates(run.truth)}
    return made | beside


def encoded(rows: dict[_Key, list[Picture]], budget: int) -> dict[_Key, list[str]]:
    """The same rows as data for ``<img>``, within so many characters."""
    uris = iter(still_uris([picture for row in rows.values() for picture in row], budget))
    return {label: [next(uris) for _ in row] for label, row in rows.items()}


def gallery(
    run: Run, attack: str, stills: dict[str, list[str]], most: int | None = None
) -> dict[str, Any]:
    """For each class, an attack's reconstruction between what it resembles and its control.

    Args:
        run: the run.
        attack: whose reconstructions.
        stills: pictures by what they are, of :func:`encoded`.
        most: number of classes; by default all.
    """
    found = run.results["likeness"].get(attack)
    control = found["strongest_control"] if found else None
    row = {"reconstruction": stills[attack]}
    if f"{attack}.nearest" in stills:
        seen = {"the same, blurred": stills[f"{attack}.seen"]} if run.is_stream else {}
        row = {"nearest training sample": stills[f"{attack}.nearest"]} | seen | row
        row[f"control: {control}"] = stills[f"{attack}.control"]
    elif TRUTH in stills:
        row = {"first training sample": stills[TRUTH]} | row
    return {
        "control": control,
        "classes": [
            {
                "name": name,
                "pictures": {label: uris[i] for label, uris in row.items()},
                "numbers": _numbers(found, i),
            }
            for i, name in enumerate(run.class_names[:most])
        ],
    }


def _numbers(found: dict[str, Any] | None, index: int) -> dict[str, float | None]:
    """What is written under a class's pictures."""
    metrics = found["metrics"] if found else {}
    shown = {"judges": PANEL, "correlation": CORRELATION}
    return {
        word: metrics[measure.key]["by_class"][index]
        for word, measure in shown.items()
        if measure.key in metrics
    }
