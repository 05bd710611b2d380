"""The verdict: does this model leak its training data?"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from brainleaks.evaluation.controls import NEGATIVE, Control
from brainleaks.evaluation.statistics import Difference, interval, paired

#: What the verdict is read from: the panel's opinion, and likeness, which no classifier decides.
DECISIVE = ("panel", "identification")
#: A judge whose accuracy is less than half way from chance to certainty does not count.
_HALF_WAY = 0.5
_FEWEST_JUDGES, _FEWEST_CLASSES = 3, 5
_TOO_LITTLE = "Inconclusive: there is not enough evidence for a verdict."
#: An excess over the controls that is worth knowing of.
_MATERIAL = 0.25

#: By metric, one value a class, or a list of them for each of several runs.
Scores = Mapping[str, Sequence[float] | Sequence[Sequence[float]]]
#: The scores of an attack's controls, of the same classes and runs.
Controls = Mapping[Control, Scores]


#: What evidence can show, from the least to the most.
LEVELS = {
    1: "class signature",
    2: "recognisable class content",
    3: "membership",
    4: "individual samples",
}


class Claim(TypedDict):
    """What one kind of evidence shows about one of the :data:`LEVELS`.

    ``shown`` is ``None`` if it could not be decided. ``value`` is the excess over the strongest
    negative control, and ``low`` to ``high`` its interval; ``None`` where none was measured.
    """

    kind: str
    level: int
    attack: str | None
    shown: bool | None
    value: float | None
    low: float | None
    high: float | None
    sentence: str


class Verdict(TypedDict):
    """The verdict, the attack that it is based on, what leaks, and the reasons.

    ``content`` says what a leak is of: ``"members"`` if reconstructions are nearer to the training
    samples themselves than to others of their classes, else ``"class-typical"``; ``None`` where
    no leak is found.
    """

    verdict: Literal["leak", "no leak shown", "inconclusive"]
    attack: str | None
    content: Literal["members", "class-typical"] | None
    sentence: str
    reasons: list[str]


def bar(classes: int) -> float:
    """The least test accuracy of a judge that counts."""
    chance = 1 / max(1, classes)
    return chance + _HALF_WAY * (1 - chance)


def verdict(
    attacks: Mapping[str, Scores],
    controls: Mapping[str, Controls],
    *,
    sound_judges: int,
    classes: int,
) -> Verdict:
    """Decide from the paired differences to the negative controls.

    ``leak``: some attack's panel accuracy and identification exceed those of every negative
    control, the lower end of each difference's interval being above 0. ``no leak shown``: for every
    attack, one of the two exceeds its strongest negative control by less than 0.25, the upper end
    of the interval being below that. ``inconclusive``: anything else, and wherever fewer than
    three judges reach the bar, there are fewer than five classes, or a negative control is missing.

    Args:
        attacks: each attack's scores.
        controls: each attack's controls, and their scores of the same classes and runs.
        sound_judges: how many judges reach the :func:`bar`.
        classes: how many classes were attacked.
    """
    lacking = _lacking(controls, sound_judges, classes)
    if lacking:
        return _said("inconclusive", lacking, sentence=_TOO_LITTLE)
    excesses = {name: _excess(scores, controls[name]) for name, scores in attacks.items()}
    leaking = {name: _least(e) for name, e in excesses.items() if _exceeds_all(e)}
    if leaking:
        attack = max(leaking, key=lambda name: leaking[name])
        content = _content(attacks[attack], controls[attack])
        return _said("leak", _why(excesses), attack=attack, content=content)
    if all(_immaterial(e) for e in excesses.values()):
        return _said("no leak shown", _why(excesses))
    return _said("inconclusive", _why(excesses))


_Excess = dict[tuple[str, str], Difference]


def _lacking(controls: Mapping[str, Controls], sound_judges: int, classes: int) -> list[str]:
    """What a verdict requires and the run does not have."""
    found = []
    if sound_judges < _FEWEST_JUDGES:
        found.append(
            f"Only {sound_judges} of the judges classif{'ies' if sound_judges == 1 else 'y'} real "
            f"data well enough (test accuracy of at least {bar(classes):.2f}); a verdict requires "
            f"{_FEWEST_JUDGES}."
        )
    if classes < _FEWEST_CLASSES:
        found.append(
            f"There are {classes} classes; a verdict requires {_FEWEST_CLASSES}, because its "
            "intervals are computed over classes."
        )
    missing = [c for c in NEGATIVE if any(c not in have for have in controls.values())]
    if missing:
        found.append(f"Negative controls required for a verdict are missing: {', '.join(missing)}.")
    return found


def _excess(scores: Scores, controls: Controls) -> _Excess:
    """What an attack has over each negative control."""
    found: _Excess = {}
    for metric in DECISIVE:
        for control in NEGATIVE:
            difference = paired(scores[metric], controls[control][metric])
            if difference is not None:
                found[metric, control] = difference
    return found


def _exceeds_all(excess: _Excess) -> bool:
    return bool(excess) and all(difference["low"] > 0 for difference in excess.values())


def _least(excess: _Excess) -> float:
    return min(difference["difference"] for difference in excess.values())


def _immaterial(excess: _Excess) -> bool:
    return any(
        _strongest(excess, metric)[1]["high"] < _MATERIAL
        for metric in DECISIVE
        if any(m == metric for m, _ in excess)
    )


def _strongest(excess: _Excess, metric: str) -> tuple[str, Difference]:
    """The control that comes nearest to the attack, or beats it by most."""
    of_metric = {control: d for (m, control), d in excess.items() if m == metric}
    name = min(of_metric, key=lambda control: of_metric[control]["difference"])
    return name, of_metric[name]


def _content(scores: Scores, controls: Controls) -> Literal["members", "class-typical"]:
    """Whether the reconstructions show members, beyond the difference between the splits.

    A target that was trained without the class cannot have memorised its members: what it shows
    is how the two parts of the data differ.
    """
    own = interval(scores["memorisation"])
    beyond = paired(scores["memorisation"], controls["without-class"]["memorisation"])
    memorised = own["low"] is not None and own["low"] > 0 and beyond is not None
    return "members" if memorised and beyond["low"] > 0 else "class-typical"  # type: ignore[index]


def _why(excesses: Mapping[str, _Excess]) -> list[str]:
    names = {"panel": "the panel's accuracy", "identification": "identification"}
    reasons = []
    for attack, excess in excesses.items():
        for metric in DECISIVE:
            control, d = _strongest(excess, metric)
            reasons.append(
                f"{attack}: {names[metric]} exceeds the strongest negative control ({control}) by "
                f"{d['difference']:.3f}, interval {d['low']:.3f} to {d['high']:.3f}."
            )
    return reasons


_CONTENT = {
    "members": "Its reconstructions are closer to the training samples than to held-out "
    "samples of the same class.",
    "class-typical": "No evidence that individual samples were memorised.",
}


def _said(
    word: Literal["leak", "no leak shown", "inconclusive"],
    reasons: list[str],
    *,
    attack: str | None = None,
    content: Literal["members", "class-typical"] | None = None,
    sentence: str | None = None,
) -> Verdict:
    sentences = {
        "leak": f"Leak: {attack} reconstructs what each class looks like. "
        f"{_CONTENT[content or 'class-typical']}",
        "no leak shown": "No leak shown: no attack clearly exceeds its negative controls both for "
        "the judges and in similarity to the training data.",
        "inconclusive": "Inconclusive: the evidence supports neither verdict.",
    }
    return Verdict(
        verdict=word,
        attack=attack,
        content=content,
        sentence=sentence or sentences[word],
        reasons=reasons,
    )


def decide(base: Verdict | None, claims: Sequence[Claim]) -> dict[str, Any]:
    """The verdict of a run, from that of its class reconstructions and all other claims.

    Args:
        base: of the class reconstructions; ``None`` if there were none.
        claims: of all kinds of evidence, which are kept with the verdict.
    """
    shown = [claim for claim in claims if claim["shown"]]
    if base is None:
        refuted = bool(claims) and all(claim["shown"] is False for claim in claims)
        base = _said("no leak shown" if refuted else "inconclusive", [])
    if shown and base["verdict"] != "leak":
        strongest = max(shown, key=lambda claim: claim["level"])
        base = _said(
            "leak",
            base["reasons"],
            attack=strongest["attack"],
            sentence=f"Leak: {strongest['sentence']}",
        )
    base = {**base, "sentence": _with_membership(base, claims)}
    said = {claim["sentence"] for claim in claims if claim["kind"] != "class-reconstruction"}
    reasons = [*base["reasons"], *sorted(s for s in said if s not in base["sentence"])]
    return {**base, "reasons": reasons, "claims": list(claims)}


def _with_membership(base: Verdict, claims: Sequence[Claim]) -> str:
    """What leaks, and of whom: membership is the better evidence on single samples."""
    sentence = base["sentence"]
    decided = [c["sentence"] for c in claims if c["level"] == 3 and c["shown"] is not None]
    if not decided or base["verdict"] != "leak" or base["content"] is None:
        return sentence
    return " ".join([sentence.replace(_CONTENT["class-typical"], "").strip(), *decided])
