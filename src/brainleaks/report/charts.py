"""The charts of runs: confusion, likeness, training against held-out data, and curves."""

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from brainleaks.report import svg
from brainleaks.report.metrics import (
    CORRELATION,
    HELD_OUT,
    IDENTIFICATION,
    MEMBERS,
    MEMORISATION,
    SIDES,
    SSIM,
    Measure,
    widened,
)
from brainleaks.report.run import Run
from brainleaks.report.tables import Row

_DISTRIBUTIONS = (IDENTIFICATION, CORRELATION, SSIM)
_KINDS: dict[str, svg.Kind] = {
    "attack": "attack",
    "negative control": "negative",
    "positive control": "positive",
}


def word(run: Run) -> str:
    """A word that distinguishes a run's charts from another's on the same page.

    Targets from files may differ where study and seed do not.
    """
    provenance = run.provenance
    return f"{provenance['study']}-{run.results['seed']}-{provenance['weights']['target'][:8]}"


def matrices(run: Run) -> list[dict[str, Any]]:
    """The confusion matrix of each attack in the eyes of each evaluator of the protocol."""
    return [
        {
            "title": f"{entry['name']}, by {entry['evaluator']}",
            "chart": svg.matrix(
                entry["matrix"],
                run.class_names,
                name=f"{word(run)}-matrix-{i}",
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


def distributions(rows: list[Row], name: str) -> dict[str, list[Markup]]:
    """For each attack, its likeness beside that of its controls; ``name`` sets them apart."""
    by_attack: dict[str, list[Row]] = {}
    for row in rows:
        by_attack.setdefault(row["of"], []).append(row)
    return {
        attack: [
            distribution(
                [(row["name"], row) for row in some], measure, f"{name}-{attack}-{measure.key}"
            )
            for measure in _DISTRIBUTIONS
        ]
        for attack, some in by_attack.items()
    }


def distribution(rows: Iterable[tuple[str, Row]], measure: Measure, name: str) -> Markup:
    """One measure of some rows, each with its label, from the top."""
    drawn = [_strip(label, row["role"], row["metrics"][measure.key]) for label, row in rows]
    labelled = [(" ".join(row.label.split()), row.mean) for row in drawn]
    means = [f"{label} {mean:.3f}" for label, mean in labelled if mean is not None]
    text = f"{measure.title}, mean over classes: {'; '.join(means)}."
    return svg.strips(drawn, axis=measure.title, name=name, text=text)


def _strip(label: str, role: str, entry: dict[str, Any]) -> svg.Strip:
    return svg.Strip(
        label, _KINDS[role], entry["by_class"], entry["value"], entry["low"], entry["high"]
    )


def sides(title: str, metrics: dict[str, Any], name: str) -> dict[str, Any]:
    """An attack's reconstructions beside what the target was trained on, and what it never saw."""
    near, far = (metrics[f"correlation_{side}"] for side in (MEMBERS, HELD_OUT))
    chart = svg.scatter(
        [float("nan") if v is None else v for v in far["by_class"]],
        [float("nan") if v is None else v for v in near["by_class"]],
        axes=("correlation, held-out", "correlation, training"),
        name=f"{name}-sides",
        text=f"Correlation with the nearest sample by class, for {title}: on average "
        f"{_said(near)} in the training data and {_said(far)} in held-out data.",
    )
    rows = [
        {
            "title": title,
            "better": better,
            "sides": [metrics[f"{stem}_{side}"] for side in (MEMBERS, HELD_OUT)],
        }
        for stem, title, better in SIDES
        if f"{stem}_{MEMBERS}" in metrics  # older runs lack some
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


def curves(run: Run) -> dict[str, Markup]:
    """The curves of trainings and attacks, by title."""
    results = run.results
    trained = {"target": results["target"]}
    trained |= {f"evaluator {entry['name']}": entry for entry in results["evaluators"]}
    attacks = {entry["name"]: entry for entry in results["attacks"]}
    jobs = [(title, "epoch", facts) for title, facts in trained.items()]
    jobs += [(title, "iteration", facts) for title, facts in attacks.items()]
    return {
        title: svg.curve(
            facts["curve"],
            unit=unit,
            name=f"{word(run)}-curve-{i}",
            text=_curve_text(title, unit, facts["curve"]),
        )
        for i, (title, unit, facts) in enumerate(jobs)
        if facts.get("curve")
    }


def _curve_text(title: str, unit: str, steps: list[dict[str, float]]) -> str:
    ends = [f"{key} from {steps[0][key]:.3g} to {steps[-1][key]:.3g}" for key in steps[0]]
    return f"{title}: {', '.join(ends)} in {len(steps)} {unit}s."
