"""What ``results.json`` holds under ``evidence`` and ``membership``, field by field."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from brainleaks.runs.fields import Count, Label, Name, Number, Part, Share, Text


class _Rate(Part):
    value: Number
    low: Number
    high: Number


class _MembershipLeak(Part):
    fpr: Share
    tpr: _Rate
    false: _Rate


class _MembershipAttack(Part):
    auc: _Rate
    tpr_at_fpr: dict[Annotated[str, Field(pattern=r"^0\.\d{1,9}$")], _Rate]
    finest_fpr: Annotated[float, Field(gt=0, le=1)]
    balanced_accuracy: Share
    leak: _MembershipLeak
    roc: Annotated[
        list[Annotated[list[Share], Field(min_length=2, max_length=2)]],
        Field(min_length=1, max_length=1000),
    ]
    queries: Count
    seconds: Number
    controls: dict[Name, _Rate]


class _Epsilon(Part):
    low: Number
    delta: Share
    confidence: Share
    samples: Count
    guesses: Count
    right: Count
    gaussian: Number | None = None


class _Exposed(Part):
    sample: Count
    score: Number


class Membership(Part):
    """As :mod:`brainleaks.pipeline.evidence.membership` finds it."""

    members: Count
    non_members: Count
    population: Count
    draws: Count
    shadows: Count
    remarks: list[Text] = []
    shift: _Rate | None
    tail: _Rate | None = None
    epsilon: _Epsilon | None = None
    attacks: dict[Label, _MembershipAttack]
    exposed: Annotated[list[_Exposed], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _same_rates(self) -> Self:
        if len({tuple(attack.tpr_at_fpr) for attack in self.attacks.values()}) > 1:
            raise ValueError("every attack's tpr_at_fpr must have the same rates")
        return self
