"""The page of one run: the verdict, the pictures that prove it, and every number."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from brainleaks import atomic
from brainleaks.report import charts
from brainleaks.report.images import MOST_FRAMES, Sprite, sprites, still_uris
from brainleaks.report.measures import (
    CORRELATION,
    IDENTIFICATION,
    MEMORISATION,
    PANEL,
    PROTOCOL,
    SIDES,
    SSIM,
    SUMMARY,
    Measure,
    widened,
)
from brainleaks.report.pictures import Picture, write_grid
from brainleaks.report.run import Run, read_run
from brainleaks.report.template import render
from brainleaks.results import headline

METRICS = {measure.key: measure.title for measure in PROTOCOL}
_TRUTH = "training sample"
#: Characters of a page for pictures and for recordings; a report stays under 5 MB.
STILLS, RECORDINGS = 2_300_000, 2_000_000
_DISTRIBUTIONS = (IDENTIFICATION, CORRELATION, SSIM)
_KINDS: dict[str, charts.Kind] = {
    "attack": "attack",
    "negative control": "negative",
    "positive control": "positive",
}
_BY_CLASS = (PANEL, IDENTIFICATION, CORRELATION, SSIM, MEMORISATION)


def write_report(folder: Path) -> Path:
    """Make ``report.html`` and ``figures/`` from the other files of a run folder.

    Raises:
        InputError: if ``folder`` is not a finished run, or cannot be written.
    """
    run = read_run(folder)
    figure = folder / "figures" / "reconstructions.png"
    write_grid(picture_rows(run), run.class_names, figure)
    atomic.write_text(folder / "report.html", render("report.html.j2", **_content(run)))
    return folder / "report.html"


def picture_rows(run: Run) -> dict[str, list[Picture]]:
    """One training sample a class and each attack's reconstructions, by label."""
    rows = {_TRUTH: run.rates(run.truth)}
    return rows | {name: run.rates(run.reconstruction(name)) for name in run.attacks}


def _content(run: Run) -> dict[str, Any]:
    stills = encoded(_shown(run), STILLS)
    return {
        "run": run,
        "results": run.results,
        "headline": headline(run.results),
        "provenance": run.provenance,
        "galleries": {name: gallery(run, name, stills) for name in _leading_first(run)},
        "recordings": recordings(run),
        "summary": attack_table(run),
        "protocol": PROTOCOL,
        "matrices": matrices(run),
        "distributions": distributions(run),
        "sides": {name: _sides(run, name) for name in run.results["likeness"]},
        "by_class": _by_class(run),
        "curves": curves(run),
        "titles": {measure.key: measure.title for measure in SUMMARY},
    }


def _leading_first(run: Run) -> list[str]:
    return sorted(run.attacks, key=lambda name: name != run.leading_attack)


def _shown(run: Run) -> dict[str, list[Picture]]:
    """The pictures of the page: what is evidence, else a training sample of each class."""
    made = {name: run.rates(run.reconstruction(name)) for name in run.attacks}
    beside = run.evidence or {_TRUTH: run.rates(run.truth)}
    return made | beside


def encoded(rows: dict[str, list[Picture]], budget: int) -> dict[str, list[str]]:
    """The same rows as data for ``<img>``, within so many characters."""
    uris = iter(still_uris([picture for row in rows.values() for picture in row], budget))
    return {label: [next(uris) for _ in row] for label, row in rows.items()}


def gallery(run: Run, attack: str, stills: dict[str, list[str]]) -> dict[str, Any]:
    """For each class, an attack's reconstruction between what it resembles and its control."""
    found = run.results["likeness"].get(attack)
    control = found["strongest_control"] if found else None
    row = {"reconstruction": stills[attack]}
    if f"{attack}.nearest" in stills:
        row = {"nearest training sample": stills[f"{attack}.nearest"]} | row
        row[f"control: {control}"] = stills[f"{attack}.control"]
    elif _TRUTH in stills:
        row = {"first training sample": stills[_TRUTH]} | row
    return {
        "control": control,
        "classes": [
            {
                "name": name,
                "pictures": {label: uris[i] for label, uris in row.items()},
                "numbers": _numbers(found, i),
            }
            for i, name in enumerate(run.class_names)
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


def recordings(run: Run) -> dict[str, Any] | None:
    """What the player plays, class by class; ``None`` if reconstructions are no recordings."""
    if run.frame_us is None:
        return None
    shape = run.results["dataset"]["input_shape"]
    rows = {"first " + _TRUTH: run.truth}
    rows |= {name: run.reconstruction(name) for name in run.attacks}
    longest = min(MOST_FRAMES, max(run.reconstruction(name).shape[1] for name in run.attacks))
    classes = range(len(run.class_names))
    played = iter(
        sprites(
            [v[i].reshape(-1, *shape).max(1)[:longest] for i in classes for v in rows.values()],
            RECORDINGS,
        )
    )
    made: list[dict[str, Sprite]] = [{label: next(played) for label in rows} for _ in classes]
    frames = max(sprite.frames for row in made for sprite in row.values())
    return {
        "frames": frames,
        "frame_ms": run.frame_us / 1000 * longest / frames,
        "coarser": frames < longest or next(iter(made[0].values())).width < shape[-1],
        "classes": dict(zip(run.class_names, made, strict=True)),
    }


def attack_table(run: Run) -> dict[str, Any]:
    """Each attack, and under it its controls, by the measures that there are."""
    rows = []
    for name, found in run.results["likeness"].items():
        rows.append({"name": name, "role": "attack", "of": name, "metrics": found["metrics"]})
        rows += [
            {
                "name": entry["control"],
                "role": "negative control" if entry["negative"] else "positive control",
                "of": name,
                "metrics": entry["metrics"],
            }
            for entry in run.results["controls"]
            if entry["attack"] == name
        ]
    return {"rows": rows, "measures": measured([row["metrics"] for row in rows])}


def measured(rows: list[dict[str, Any]]) -> list[Measure]:
    """The measures that some row has, each on a scale that all of its intervals fit."""
    return [
        widened(measure, [row[measure.key] for row in rows if measure.key in row])
        for measure in SUMMARY
        if any(measure.key in row for row in rows)
    ]


def matrices(run: Run) -> list[dict[str, Any]]:
    """The confusion matrix of each attack in the eyes of each evaluator of the protocol."""
    return [
        {
            "title": f"{entry['name']}, by {entry['evaluator']}",
            "chart": charts.matrix(
                entry["matrix"],
                run.class_names,
                name=f"{_word(run)}-matrix-{i}",
                text=_matrix_text(entry, run.class_names),
            ),
        }
        for i, entry in enumerate(run.results["attacks"])
    ]


def _matrix_text(entry: dict[str, Any], names: list[str]) -> str:
    pairs = [
        (value, i, j)
        for i, row in enumerate(entry["matrix"])
        for j, value in enumerate(row)
        if i != j
    ]
    text = (
        f"Confusion matrix of {entry['name']}: mean confidence in the right class "
        f"{entry['confidence']:.3f}"
    )
    if not pairs:
        return text + "."
    value, made, taken = max(pairs)
    other = f"made for {names[made]}, taken for {names[taken]}"
    return f"{text}; the largest other is {value:.3f}, {other}."


def distributions(run: Run) -> dict[str, list[Markup]]:
    """For each attack, its likeness beside that of its controls."""
    rows = attack_table(run)["rows"]
    return {
        name: [
            _distribution(run, [row for row in rows if row["of"] == name], measure)
            for measure in _DISTRIBUTIONS
        ]
        for name in run.results["likeness"]
    }


def _distribution(run: Run, rows: list[dict[str, Any]], measure: Measure) -> Markup:
    drawn = [strip(row["name"], row["role"], row["metrics"][measure.key]) for row in rows]
    return charts.strips(
        drawn,
        axis=measure.title,
        name=f"{_word(run)}-{rows[0]['of']}-{measure.key}",
        text=strips_text(measure.title, drawn),
    )


def strip(label: str, role: str, entry: dict[str, Any]) -> charts.Strip:
    """One measure's values of the classes, for :func:`brainleaks.report.charts.strips`."""
    return charts.Strip(
        label, _KINDS[role], entry["by_class"], entry["value"], entry["low"], entry["high"]
    )


def strips_text(title: str, drawn: list[charts.Strip]) -> str:
    """What a chart of strips shows, in words."""
    means = [f"{row.label} {row.mean:.3f}" for row in drawn if row.mean is not None]
    return f"{title}, mean over classes: {'; '.join(means)}."


def _sides(run: Run, attack: str) -> dict[str, Any]:
    """An attack's reconstructions beside what the target was trained on, and what it never saw."""
    metrics = run.results["likeness"][attack]["metrics"]
    near, far = (metrics[f"correlation_{side}"] for side in ("members", "held_out"))
    chart = charts.scatter(
        [float("nan") if v is None else v for v in far["by_class"]],
        [float("nan") if v is None else v for v in near["by_class"]],
        axes=("correlation, held-out", "correlation, training"),
        name=f"{_word(run)}-{attack}-sides",
        text=f"Correlation with the nearest sample by class, for {attack}: on average "
        f"{_said(near)} in the training data and {_said(far)} in held-out data.",
    )
    rows = [
        {"title": title, "better": better, "sides": [metrics[f"{stem}_{side}"] for side in both]}
        for both in [("members", "held_out")]
        for stem, title, better in SIDES
    ]
    memorised = metrics[MEMORISATION.key]
    return {
        "chart": chart,
        "rows": rows,
        "memorisation": memorised,
        "measure": widened(MEMORISATION, [memorised]),
    }


def _said(entry: dict[str, Any]) -> str:
    return "not measured" if entry["value"] is None else f"{entry['value']:.3f}"


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


def curves(run: Run) -> dict[str, Markup]:
    """How the trainings and the attacks fared, by title."""
    results = run.results
    trained = {"target": results["target"]}
    trained |= {f"evaluator {entry['name']}": entry for entry in results["evaluators"]}
    attacks = {entry["name"]: entry for entry in results["attacks"]}
    jobs = [(title, "epoch", facts) for title, facts in trained.items()]
    jobs += [(title, "iteration", facts) for title, facts in attacks.items()]
    return {
        title: charts.curve(
            facts["curve"],
            unit=unit,
            name=f"{_word(run)}-curve-{i}",
            text=_curve_text(title, unit, facts["curve"]),
        )
        for i, (title, unit, facts) in enumerate(jobs)
        if facts.get("curve")
    }


def _curve_text(title: str, unit: str, steps: list[dict[str, float]]) -> str:
    ends = [f"{key} from {steps[0][key]:.3g} to {steps[-1][key]:.3g}" for key in steps[0]]
    return f"{title}: {', '.join(ends)} in {len(steps)} {unit}s."


def _word(run: Run) -> str:
    """What sets a run's charts apart from another's on the same page.

    Targets from files may differ where study and seed do not.
    """
    provenance = run.provenance
    return f"{provenance['study']}-{run.results['seed']}-{provenance['weights']['target'][:8]}"
