"""The page of one run: the verdict, the pictures behind it, and every number."""

from pathlib import Path
from typing import Any

from brainleaks.files import atomic
from brainleaks.report.charts import curves
from brainleaks.report.figures import Picture, write_grid
from brainleaks.report.gallery import TRUTH
from brainleaks.report.metrics import PROTOCOL
from brainleaks.report.run import Run, read_run
from brainleaks.report.sections import sections
from brainleaks.report.template import render
from brainleaks.runs import headline, is_sealed, seal

METRICS = {measure.key: measure.title for measure in PROTOCOL}


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
    return {
        "run": run,
        "results": run.results,
        "headline": headline(run.results),
        "provenance": run.provenance,
        "sections": sections(run),
        "curves": curves(run),
    }
