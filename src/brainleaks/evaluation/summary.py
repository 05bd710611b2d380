"""Summary of an evaluation's scores, as JSON: means, intervals, tests."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from brainleaks.evaluation.class_content import DECISIVE
from brainleaks.evaluation.controls import NEGATIVE, Control
from brainleaks.evaluation.statistics import (
    CONFIDENCE,
    FEWEST,
    agreement,
    few,
    holm,
    interval,
    paired,
    smallest_p,
)

#: Scores that are no measure of a reconstruction's quality.
_NOT_MEASURES = ("labels", "nearest")
#: What attacks are compared by, one against the other.
_COMPARED = (*DECISIVE, "ssim_members", "correlation_members")

#: Scores of each reconstruction, ``(B,)``, as the panel's stage gives them.
Scores = dict[str, Tensor]
#: Their means over each class's reconstructions: one value a class. With few classes, one such list
#: for each reconstruction of a class.
Clusters = dict[str, list[float]] | dict[str, list[list[float]]]


@dataclass(frozen=True)
class Finding:
    """The scores of one attack and of its controls."""

    attack: str
    scores: Scores
    clusters: Clusters
    controls: dict[Control, Clusters]

    @property
    def strongest(self) -> Control | None:
        """The negative control with the highest decisive scores."""
        negative = [c for c in self.controls if c in NEGATIVE]

        def reached(control: Control) -> float:
            scores = self.controls[control]
            return sum(float(np.mean(scores.get(metric, [0.0]))) for metric in DECISIVE)

        return max(negative, key=reached, default=None)


def clusters(scores: Scores, sound: list[str], classes: int) -> Clusters:
    """The mean of each score over each class's reconstructions, or, with few classes, each score.

    ``attack_accuracy:JUDGE`` is the share that a judge takes for the right class, and ``panel`` the
    mean of that over the ``sound`` judges; it is not there if there are none.
    """
    labels = scores["labels"]
    measures: dict[str, Tensor] = {}
    for key, value in scores.items():
        if key.startswith("named:"):
            judge = key.removeprefix("named:")
            measures[f"attack_accuracy:{judge}"] = (value == labels).double()
        elif key not in _NOT_MEASURES:
            measures[key] = value.double()
    if sound:
        opinions = [measures[f"attack_accuracy:{judge}"] for judge in sound]
        measures["panel"] = torch.stack(opinions).mean(0)
    if classes < FEWEST:
        return {
            key: torch.stack([value[labels == c] for c in range(classes)], 1).tolist()
            for key, value in measures.items()
        }
    return {
        key: [float(value[labels == c].mean()) for c in range(classes)]
        for key, value in measures.items()
    }


def likeness(finding: Finding) -> dict[str, Any]:
    """One attack's measures, and the agreement of the judges."""
    named = [value for key, value in finding.scores.items() if key.startswith("named:")]
    return {
        "reconstructions": len(finding.scores["labels"]),
        "strongest_control": finding.strongest,
        "agreement": agreement(torch.stack(named, 1).long().numpy()),
        "metrics": measured(finding.clusters),
    }


def controls_table(findings: list[Finding]) -> list[dict[str, Any]]:
    """The same measures of each attack's controls."""
    return [
        {
            "attack": finding.attack,
            "control": control,
            "negative": control in NEGATIVE,
            "metrics": measured(scores),
        }
        for finding in findings
        for control, scores in finding.controls.items()
    ]


def measured(found: Clusters) -> dict[str, Any]:
    """Each measure's mean, interval, and value by class; ``None`` where nothing was measured."""
    return {
        key: {
            **interval(values),
            "by_class": [
                float(v) if math.isfinite(v) else None for v in np.atleast_2d(values).mean(0)
            ],
        }
        for key, values in found.items()
    }


def statistics(findings: list[Finding]) -> dict[str, Any]:
    """Paired tests of each attack against its negative controls, and of attacks with one another.

    An attack must exceed every control in every measure, so more of these tests do not make a
    success by chance likelier; only more attacks do (Berger 1982, "Multiparameter hypothesis
    testing and acceptance sampling"). P-values are therefore corrected after Holm over the attacks,
    for each measure and control, and over the pairs of attacks, for each measure. ``smallest_p`` is
    the least that so few classes allow before the correction.
    """
    families: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for finding in findings:
        for control in (c for c in finding.controls if c in NEGATIVE):
            beside = finding.controls[control]
            for test in compare(finding.attack, finding.clusters, control, beside, DECISIVE):
                families.setdefault((test["metric"], control), []).append(test)
    for first, second in itertools.combinations(findings, 2):
        for test in compare(
            first.attack, first.clusters, second.attack, second.clusters, _COMPARED
        ):
            families.setdefault((test["metric"], "another attack"), []).append(test)
    for family in families.values():
        for test, p in zip(family, holm([test["p"] for test in family]), strict=True):
            test["p_holm"] = p
    tests = [test for family in families.values() for test in family]
    return {
        "confidence": CONFIDENCE,
        "clusters": "reconstructions" if any(map(_by_reconstruction, findings)) else "classes",
        "smallest_p": min((smallest_p(test["classes"]) for test in tests), default=None),
        "tests": tests,
    }


def _by_reconstruction(finding: Finding) -> bool:
    return any(few(np.atleast_2d(values)) for values in finding.clusters.values())


def compare(
    first: str, a: Clusters, second: str, b: Clusters, metrics: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Paired differences of two lists of clusters, where both were measured."""
    found = []
    for metric in metrics:
        difference = paired(a[metric], b[metric]) if metric in a and metric in b else None
        if difference is not None:
            found.append({"metric": metric, "first": first, "second": second, **difference})
    return found
