"""The page of one run: the verdict, the pictures that prove it, and every number."""

from pathlib import Path
from typing import Any

from brainleaks.files import atomic
from brainleaks.report.charts import curves, distributions, matrices, sides, word
from brainleaks.report.figures import Picture, write_grid
from brainleaks.report.gallery import STILLS, TRUTH, encoded, gallery, shown
from brainleaks.report.metrics import (
    CORRELATION,
    IDENTIFICATION,
    MEMORISATION,
    PANEL,
    PROTOCOL,
    SSIM,
    SUMMARY,
)
from brainleaks.report.player import RECORDINGS, Film, filmed, recordings
from brainleaks.report.run import Run, read_run
from brainleaks.report.tables import attack_rows, shown_measures
from brainleaks.report.template import render
from brainleaks.runs import headline, is_sealed, seal

METRICS = {measure.key: measure.title for measure in PROTOCOL}
_BY_CLASS = (PANEL, IDENTIFICATION, CORRELATION, SSIM, MEMORISATION)


def write_report(folder: Path) -> Path:
    """Make ``report.html`` and ``figures/`` from the other files of a run folder, and seal it.

    Raises:
        InputError: if ``folder`` is not a finished run, or cannot be written.
    """
    run = read_run(folder, derived=False)
    figure = folder / "figures" / "reconstructions.png"
    write_grid(picture_rows(run), run.class_names, figure)
    atomic.write_text(folder / "report.html", render("report.html.j2", **_content(run)))
    if is_sealed(folder):
        seal(folder)
    return folder / "report.html"


def picture_rows(run: Run) -> dict[str, list[Picture]]:
    """One training sample a class and each attack's reconstructions, by label."""
    rows = {TRUTH: run.rates(run.truth)}
    return rows | {name: run.rates(run.reconstruction(name)) for name in run.attacks}


def _content(run: Run) -> dict[str, Any]:
    stills = encoded(shown(run), STILLS)
    likeness = {name: found["metrics"] for name, found in run.results["likeness"].items()}
    rows = attack_rows(likeness, run.results["controls"])
    return {
        "run": run,
        "results": run.results,
        "headline": headline(run.results),
        "provenance": run.provenance,
        "galleries": {name: gallery(run, name, stills) for name in _leading_first(run)},
        "recordings": _recordings(run),
        "rows": rows,
        "measures": shown_measures(rows),
        "protocol": PROTOCOL,
        "matrices": matrices(run),
        "distributions": distributions(rows, word(run)),
        "sides": {
            name: sides(name, metrics, f"{word(run)}-{name}") for name, metrics in likeness.items()
        },
        "by_class": _by_class(run),
        "curves": curves(run),
        "titles": {measure.key: measure.title for measure in SUMMARY},
    }


def _leading_first(run: Run) -> list[str]:
    return sorted(run.attacks, key=lambda name: name != run.leading_attack)


def _recordings(run: Run) -> dict[str, Any] | None:
    """For the player; ``None`` if reconstructions are no recordings."""
    if run.frame_us is None:
        return None
    made = {name: filmed(run, run.reconstruction(name)) for name in run.attacks}
    film = Film(filmed(run, run.truth), made, run.frame_us)
    return recordings(film, run.class_names, RECORDINGS)


def _by_class(run: Run) -> dict[str, Any]:
    """Every class of every attack in a line."""
    likeness = run.results["likeness"]
    shown = [m for m in _BY_CLASS if all(m.key in f["metrics"] for f in likeness.values())]
    rows = [
        {
            "class": name,
            "attack": attack,
            "values": [found["metrics"][measure.key]["by_class"][i] for measure in shown],
        }
        for attack, found in likeness.items()
        for i, name in enumerate(run.class_names)
    ]
    return {"measures": shown, "rows": rows}
