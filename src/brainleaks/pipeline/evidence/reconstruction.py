"""Class reconstruction: one input for each class of a trained network.

An attack of this kind is called with ``(target, labels)`` and returns spikes or their probabilities
``(T, B, channels, H, W)``, or images ``(B, channels, H, W)``.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from brainleaks.evaluation import Judgement
from brainleaks.evaluation.class_content import KIND as NAME
from brainleaks.evaluation.controls import NEGATIVE
from brainleaks.pipeline.evaluate import evaluate, not_evaluated
from brainleaks.pipeline.evidence.kind import Case, Evidence, Kind
from brainleaks.pipeline.pipeline import Reconstruction


@dataclass
class Reconstructed(Evidence):
    """The evidence, with what the attacks returned."""

    reconstructions: list[Reconstruction] = field(default_factory=list)


def gather(case: Case) -> Reconstructed:
    """Attack every class, have the evaluators and the panel judge, and compare with controls."""
    pipeline, made = case.pipeline, []
    for name, attack in case.attacks.items():
        call = partial(pipeline.attack, name, attack, case.target, case.evaluators)
        if (found := pipeline.failures.attempt("attack", name, call)) is not None:
            made.append(found)
    judging = pipeline.study.judging
    evaluation = (
        evaluate(pipeline, judging, case.target, made, case.targets)
        if judging and made
        else not_evaluated()
    )
    files = {
        f"reconstructions/{item.name}": {"reconstruction": to_release(item.values)} for item in made
    }
    entries = [entry for item in made for entry in _entries(item)]
    return Reconstructed(
        facts={"attacks": entries, **evaluation.facts},
        claims=evaluation.claims,
        remarks=evaluation.remarks,
        tensors=files | {"evidence": evaluation.pictures},
        reconstructions=made,
    )


KIND = Kind(name=NAME, controls=NEGATIVE, levels=(1, 2, 4), gather=gather)


def _entries(item: Reconstruction) -> list[dict[str, Any]]:
    """One attack in the eyes of each evaluator."""
    measured = {key: item.facts[key] for key in ("seconds", "queries", "curve")}
    return [
        attack_entry(item.name, evaluator, judgement) | measured
        for evaluator, judgement in item.judgements.items()
    ]


def attack_entry(name: str, evaluator: str, judgement: Judgement) -> dict[str, Any]:
    """One reconstruction in the eyes of one evaluator, as JSON."""
    entry = {"name": name, "evaluator": evaluator, **judgement.metrics}
    if judgement.draws is not None:
        entry["draws"] = judgement.draws
    return entry | {"matrix": judgement.matrix.double().cpu().tolist()}


def to_release(values: Tensor) -> Tensor:
    """``(T, C, channels, H, W)`` to ``(C, T, 1, D)``; ``(C, channels, H, W)`` to ``(C, 1, D)``."""
    if values.ndim == 5:
        return values.flatten(2).transpose(0, 1).unsqueeze(2)
    return values.flatten(1).unsqueeze(1)


def from_release(values: Tensor, input_shape: tuple[int, ...]) -> Tensor:
    """Inverse of :func:`to_release`."""
    spikes = values.ndim == 4
    flat = values.squeeze(2).transpose(0, 1) if spikes else values.squeeze(1)
    shaped: Tensor = flat.unflatten(-1, input_shape)
    return shaped
