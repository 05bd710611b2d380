"""The scale of the verdict: what evidence can show, from the least to the most."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypedDict


class Level(NamedTuple):
    """What a level is called, and what it means for the person whose data it is."""

    name: str
    meaning: str


LEVELS = {
    1: Level(
        "class signature",
        "Someone who has the model can make inputs that classifiers take for a class. This alone "
        "does not mean that a person would recognise anything in them.",
    ),
    2: Level(
        "recognisable class content",
        "Someone who has the model can see what a class looks like. If a class is one person, this "
        "is how that person looks.",
    ),
    3: Level(
        "membership",
        "Someone who already has a person's sample can find out whether the model was trained on "
        "it.",
    ),
    4: Level(
        "individual samples",
        "Someone who has the model can obtain details of single training samples that they did not "
        "have before.",
    ),
}
#: From this level on, the verdict is a leak.
LEAK = 2
#: The level of who was in the training set.
MEMBERSHIP = 3

Status = Literal["yes", "no", "inconclusive", "not tested"]


class Claim(TypedDict):
    """What one kind of evidence shows about one of the :data:`LEVELS`.

    ``shown`` is ``None`` if it could not be decided. ``attack`` is the one that the claim is based
    on, ``value`` what it reached, with the interval from ``low`` to ``high``, and ``measure`` says
    of what, in words; all ``None`` where nothing was measured. ``supports`` and ``opposes`` are
    sentences with the numbers that speak for the claim and against it.
    """

    kind: str
    level: int
    attack: str | None
    shown: bool | None
    measure: str | None
    value: float | None
    low: float | None
    high: float | None
    sentence: str
    supports: list[str]
    opposes: list[str]


class Rung(TypedDict):
    """One level of the scale, decided by all kinds of evidence that can support it."""

    level: int
    name: str
    status: Status
    attack: str | None
    measure: str | None
    value: float | None
    low: float | None
    high: float | None
    sentence: str
    meaning: str
    supports: list[str]
    opposes: list[str]


def scale(claims: Sequence[Claim]) -> list[Rung]:
    """Every level from 1 to 4: *yes* if some claim shows it, *no* if all refute it."""
    return [_rung(level, [c for c in claims if c["level"] == level]) for level in LEVELS]


def highest(rungs: Sequence[Rung]) -> int | None:
    """The highest level that is shown; 0 if none is, and ``None`` if none was decided either."""
    if shown := [rung["level"] for rung in rungs if rung["status"] == "yes"]:
        return max(shown)
    return 0 if any(rung["status"] == "no" for rung in rungs) else None


def status_of(claims: Sequence[Claim]) -> Status:
    """What the claims on one level come to."""
    found = [claim["shown"] for claim in claims]
    if not found:
        return "not tested"
    return "yes" if True in found else "inconclusive" if None in found else "no"


def _rung(level: int, claims: list[Claim]) -> Rung:
    name, meaning = LEVELS[level]
    status = status_of(claims)
    shown = {"yes": True, "no": False, "inconclusive": None}
    agreeing = [c for c in claims if c["shown"] is shown.get(status)] or [_untested(level)]
    # of several kinds of evidence, the one that found most
    claim = max(agreeing, key=lambda c: -1.0 if c["low"] is None else c["low"])
    return Rung(
        level=level,
        name=name,
        status=status,
        attack=claim["attack"],
        measure=claim["measure"],
        value=claim["value"],
        low=claim["low"],
        high=claim["high"],
        sentence=claim["sentence"],
        meaning=meaning,
        supports=claim["supports"],
        opposes=claim["opposes"],
    )


def _untested(level: int) -> Claim:
    return no_claim("", level, "None of the attacks that were run tests this.", [])


def no_claim(kind: str, level: int, sentence: str, why: list[str]) -> Claim:
    """A claim that could not be decided, as nothing was measured."""
    return Claim(
        kind=kind,
        level=level,
        attack=None,
        shown=None,
        measure=None,
        value=None,
        low=None,
        high=None,
        sentence=sentence,
        supports=[],
        opposes=why,
    )
