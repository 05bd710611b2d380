"""What ``results.json`` holds under ``evidence`` and ``user-membership``, field by field."""

from typing import Annotated, Literal

from pydantic import Field

from brainleaks.runs.fields import Count, Label, Number, Part, Share


class _Rate(Part):
    value: Share
    low: Share
    high: Share


class _UserAttack(Part):
    auc: _Rate
    p: Share
    shuffled: _Rate
    by_user: Annotated[list[Share], Field(max_length=1_000_000)]
    separated: Count
    samples: Count
    asked: Literal["other", "trained"]
    queries: Count
    seconds: Number


class _Accuracy(Part):
    members: Share
    others: Share


class UserMembership(Part):
    """As :mod:`brainleaks.pipeline.evidence.users` finds it."""

    users: Count
    networks: Count
    accuracy: _Accuracy
    attacks: dict[Label, _UserAttack]
