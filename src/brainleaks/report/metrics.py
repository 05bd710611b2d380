"""The measures of the report: their names, and what each means in a sentence."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Measure(NamedTuple):
    """A measure's name in results, its title, what it means, and the ends of its scale."""

    key: str
    title: str
    meaning: str
    ends: tuple[float, float] = (0.0, 1.0)


PROTOCOL = (
    Measure(
        "attack_accuracy",
        "Attack accuracy",
        "the fraction of reconstructions that the evaluator assigns to the intended class.",
    ),
    Measure(
        "top3_accuracy",
        "Top-3 accuracy",
        "the fraction whose intended class is among the evaluator's top three.",
    ),
    Measure("confidence", "Confidence", "the evaluator's mean confidence in the intended class."),
    Measure(
        "daa", "DAA", "the fraction of classes whose most confident reconstruction is their own."
    ),
)
PANEL = Measure(
    "panel",
    "Panel accuracy",
    "the fraction of reconstructions assigned to the intended class, averaged over the judges that "
    "count.",
)
IDENTIFICATION = Measure(
    "identification",
    "Identification",
    "the fraction of other classes whose nearest training sample is less similar to the "
    "reconstruction than that of the intended class. It uses no classifier; chance is 0.5.",
)
LIKENESS = Measure(
    "blurred_correlation_members",
    "Likeness to the class",
    "Pearson's correlation with the mean of the class's training samples, both blurred by a "
    "sixteenth of the shorter side: what a person would see from some distance.",
)
CORRELATION = Measure(
    "correlation_members",
    "Correlation",
    "Pearson's correlation with the nearest training sample of the class; 1 is a copy.",
)
SSIM = Measure(
    "ssim_members",
    "SSIM",
    "structural similarity with the nearest training sample of the class; 1 is a copy.",
)
MEMORISATION = Measure(
    "memorisation",
    "Memorisation",
    "the correlation with the nearest training sample minus that with the nearest held-out sample, "
    "among equal numbers of both. Above 0, reconstructions are more similar to the training "
    "samples than to other samples of the class.",
    (-0.2, 0.2),
)
SUMMARY = (
    PANEL,
    IDENTIFICATION,
    LIKENESS,
    Measure(
        "distinctness",
        "Distinctness",
        "the correlation with the nearest training sample of the intended class minus that with "
        "the nearest of any other class. Above 0, the reconstruction is most similar to a sample "
        "of its own class.",
        (-0.2, 0.2),
    ),
    CORRELATION,
    SSIM,
    MEMORISATION,
)
#: The two sides of what a target was trained on, as measures' names end.
MEMBERS, HELD_OUT = "members", "held_out"
#: What is compared with held-out samples: the measure's stem, its title, what more of it means.
SIDES = (
    ("correlation", "Correlation with the nearest sample", "more is nearer"),
    ("mean_correlation", "Correlation with the class mean", "more is nearer"),
    ("blurred_correlation", "Blurred correlation with the class mean", "more is nearer"),
    ("ssim", "SSIM with the nearest sample", "more is nearer"),
    ("feature_distance", "Feature distance to the nearest sample", "less is nearer"),
    ("feature_distance_5", "Feature distance to the five nearest", "less is nearer"),
)
#: Any measure of likeness by its name in results.
TITLES = (
    {f"{stem}_{MEMBERS}": title for stem, title, _ in SIDES}
    | {f"{stem}_{HELD_OUT}": f"{title}, held out" for stem, title, _ in SIDES}
    | {measure.key: measure.title for measure in SUMMARY}
)


def widened(measure: Measure, shown: Iterable[Mapping[str, Any]]) -> Measure:
    """The measure with a scale on which all these intervals fit."""
    values = [v for entry in shown for v in (entry["low"], entry["high"]) if v is not None]
    low, high = measure.ends
    return measure._replace(ends=(min([low, *values]), max([high, *values])))


def progress(
    steps: Sequence[Mapping[str, float]], unit: str
) -> tuple[str, list[float], dict[str, list[float]]]:
    """How a job fared: the name of what it went along, where its steps lie, and its quantities.

    Jobs that pay for queries go along these, others along their steps.
    """
    if "queries" in steps[0]:
        unit, places = "queries", [step["queries"] for step in steps]
    else:
        places = [float(i) for i in range(1, len(steps) + 1)]
    return unit, places, {k: [s[k] for s in steps] for k in steps[0] if k != "queries"}
