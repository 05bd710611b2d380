"""What a kind of evidence declares, is given and returns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from brainleaks.attacks import Attack
from brainleaks.evaluation.levels import Claim
from brainleaks.pipeline.controls import Targets
from brainleaks.pipeline.pipeline import Pipeline, Trained


@dataclass(frozen=True)
class Case:
    """What the evidence of one kind is gathered from.

    Args:
        pipeline: runs attacks and stages, and keeps what they return.
        target: the network under attack.
        targets: networks for the controls.
        evaluators: trained networks that are not the target.
        attacks: of this kind, by the study's labels.
    """

    pipeline: Pipeline
    target: Trained
    targets: Targets
    evaluators: list[Trained]
    attacks: dict[str, Attack]


@dataclass
class Evidence:
    """What was found.

    Args:
        facts: JSON; in ``results.json`` under ``evidence`` and the kind's name.
        claims: on each level of the verdict that the kind can support.
        remarks: what a reader of the verdict should know besides.
        tensors: what the run folder keeps, by file name without suffix.
    """

    facts: dict[str, Any]
    claims: list[Claim]
    remarks: list[str] = field(default_factory=list)
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """One kind of evidence.

    Args:
        name: what attacks declare as their ``kind``.
        controls: its negative controls: what the same measure says where nothing can have leaked.
        levels: those of the verdict (:data:`brainleaks.evaluation.levels.LEVELS`) that it can
            support.
        gather: runs the attacks and their controls, and evaluates them.
    """

    name: str
    controls: tuple[str, ...]
    levels: tuple[int, ...]
    gather: Callable[[Case], Evidence]
