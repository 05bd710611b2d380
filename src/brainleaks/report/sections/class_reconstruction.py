"""Class reconstruction: the pictures, and the numbers beside the controls."""

from typing import Any

from brainleaks.report.charts import distributions, matrices, sides, word
from brainleaks.report.gallery import STILLS, encoded, gallery, shown
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
from brainleaks.report.run import Run
from brainleaks.report.sections.section import Section
from brainleaks.report.sounds import sounds
from brainleaks.report.tables import attack_rows, shown_measures
from brainleaks.report.template import fragment

KIND = "class-reconstruction"
_BY_CLASS = (PANEL, IDENTIFICATION, CORRELATION, SSIM, MEMORISATION)


def section(run: Run) -> Section:
    """The sections of a run that reconstructed classes."""
    content = _content(run)
    asked = {
        "evidence": ("Evidence", True),
        "time": ("In time", content["recordings"]),
        "listen": ("Listen", content["sounds"]),
        "attacks": ("Attacks", content["rows"]),
        "protocol": ("Protocol", True),
        "confusion": ("Confusion", True),
        "panel": ("Panel", run.results["judges"]),
        "likeness": ("Likeness", content["distributions"]),
        "held-out": ("Held-out", content["distributions"]),
    }
    links = {anchor: label for anchor, (label, there) in asked.items() if there}
    return Section(links, fragment("class-reconstruction.html.j2", **content))


def _content(run: Run) -> dict[str, Any]:
    stills = encoded(shown(run), STILLS)
    likeness = {name: found["metrics"] for name, found in run.results["likeness"].items()}
    rows = attack_rows(likeness, run.results["controls"])
    return {
        "results": run.results,
        "galleries": {name: gallery(run, name, stills) for name in _leading_first(run)},
        "recordings": _recordings(run),
        "sounds": sounds(run),
        "stream": run.is_stream,
        "rows": rows,
        "measures": shown_measures(rows),
        "protocol": PROTOCOL,
        "matrices": matrices(run),
        "distributions": distributions(rows, word(run)),
        "sides": {
            name: sides(name, metrics, f"{word(run)}-{name}") for name, metrics in likeness.items()
        },
        "by_class": _by_class(run),
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
