"""What class reconstructions show: the claims on levels 1, 2 and 4 of the scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from brainleaks.evaluation.controls import NEGATIVE, Control, possible
from brainleaks.evaluation.levels import Claim, no_claim
from brainleaks.evaluation.statistics import FEWEST, Difference, few, interval, paired

KIND = "class-reconstruction"
PANEL, IDENTIFICATION, LIKENESS = "panel", "identification", "blurred_correlation_members"
DISTINCTNESS = "distinctness"
#: What the claims are based on: the panel's opinion, and likeness, which no classifier decides.
DECISIVE = (PANEL, IDENTIFICATION, LIKENESS)
_SAID = {
    PANEL: "panel accuracy",
    IDENTIFICATION: "identification",
    LIKENESS: "correlation with the class",
}
#: A judge whose accuracy is less than half way from chance to certainty does not count.
_HALF_WAY = 0.5
_FEWEST_JUDGES = 3
#: An excess over the controls that is worth knowing of.
_MATERIAL = 0.25
#: So much nearer to members are reconstructions that contain single ones. Less is the trace of the
#: training set's mean, which differs from the held-out samples' mean.
_DETAIL = 0.02
#: Reconstructions are recognisable from these shares of the class mean's correlation, and of its
#: distinctness, on. Blind naming of pictures places them (docs/judgement.md, "Recognisable").
RECOGNISABLE, DISTINCT = 0.65, 0.8

#: By metric, one value a class, or a list of them for each of several runs.
Scores = Mapping[str, Sequence[float] | Sequence[Sequence[float]]]
#: The scores of an attack's controls, of the same classes and runs.
Controls = Mapping[Control, Scores]


def bar(classes: int) -> float:
    """The least test accuracy of a judge that counts."""
    chance = 1 / max(1, classes)
    return chance + _HALF_WAY * (1 - chance)


def claims(
    attacks: Mapping[str, Scores],
    controls: Mapping[str, Controls],
    *,
    sound_judges: int,
    classes: int,
) -> list[Claim]:
    """What the reconstructions show, from paired differences to the controls.

    Level 1: some attack's panel accuracy exceeds that of every negative control, the lower end of
    each difference's interval being above 0. Level 2: some attack's identification and correlation
    do, its correlation is at least :data:`RECOGNISABLE` of the class mean's, and its distinctness
    :data:`DISTINCT` of it, by the lower ends of their intervals. Level 4: of the attack whose
    reconstructions are nearest, those are nearer to members than to held-out samples, and more so
    than those of the control without the class, by a correlation of at least 0.02.

    A level is refuted if every attack's upper ends leave an excess below 0.25, or a correlation or
    distinctness below the bar; else it is not decided. Nothing is decided without a negative
    control, and level 1 with fewer than three sound judges. With fewer than five classes the
    intervals are over the reconstructions or runs, of which there must be five, and level 1 is not
    decided; nor is level 4 with fewer than four, for which there is no control without the class.

    Args:
        attacks: each attack's scores; one that has too few reconstructions is left out.
        controls: each attack's controls, and their scores of the same classes and runs.
        sound_judges: how many judges reach the :func:`bar`.
        classes: how many classes were attacked.
    """
    cases = [_Case(name, scores, controls[name]) for name, scores in attacks.items()]
    cases = [case for case in cases if classes >= FEWEST or few(np.atleast_2d(case.memorisation))]
    lacking = _lacking(cases, classes)
    judges = [*lacking, *_lacking_judges(sound_judges, classes)]
    likeness = [*lacking, *_lacking_likeness(cases)]
    samples = [*lacking, *_lacking_halves(classes)]
    return [
        _undecided(1, judges) if judges else _signature(cases),
        _undecided(2, likeness) if likeness else _content(cases),
        _undecided(4, samples) if samples else _samples(cases),
    ]


def undecided(reasons: list[str]) -> list[Claim]:
    """The claims of reconstructions that could not be evaluated."""
    return [_undecided(level, reasons) for level in _LEVELS]


class Reached(NamedTuple):
    """What an attack reached, and the interval of that."""

    value: float
    low: float
    high: float


_ENDS: tuple[Literal["difference", "low", "high"], ...] = ("difference", "low", "high")


@dataclass(frozen=True)
class _Case:
    """One attack, and its controls."""

    attack: str
    scores: Scores
    controls: Controls
    _over: dict[str, dict[str, Difference]] = field(default_factory=dict)

    def over(self, metric: str) -> dict[str, Difference]:
        """Its excess over each negative control, resampled once."""
        if metric not in self._over:
            negative = [control for control in NEGATIVE if control in self.controls]
            each = {c: paired(self.scores[metric], self.controls[c][metric]) for c in negative}
            self._over[metric] = {c: excess for c, excess in each.items() if excess is not None}
        return self._over[metric]

    def least(self, metric: str) -> tuple[str, Difference]:
        """The control that comes nearest to the attack, or beats it by most."""
        over = self.over(metric)
        control = min(over, key=lambda control: over[control]["difference"])
        return control, over[control]

    def exceeds(self, metric: str) -> bool:
        over = self.over(metric)
        return bool(over) and all(excess["low"] > 0 for excess in over.values())

    def is_immaterial(self, metric: str) -> bool:
        return bool(self.over(metric)) and self.least(metric)[1]["high"] < _MATERIAL

    @property
    def memorisation(self) -> NDArray[np.float64]:
        return np.asarray(self.scores["memorisation"], np.float64)

    @property
    def nearness(self) -> float:
        """How like its classes its reconstructions are, on the mean."""
        return _mean(self.scores.get(LIKENESS, [np.nan]))

    def unit(self, metric: str) -> float:
        """What the class mean reaches."""
        return _mean(self.controls["class-mean"][metric])

    @cached_property
    def relative(self) -> Reached:
        """Its correlation as a share of the class mean's."""
        return self._share(LIKENESS, RECOGNISABLE)

    @cached_property
    def distinct(self) -> Reached:
        """Its distinctness from other classes as a share of the class mean's."""
        return self._share(DISTINCTNESS, DISTINCT)

    def _share(self, metric: str, least: float) -> Reached:
        mean = np.asarray(self.controls["class-mean"][metric], np.float64)
        found = paired(self.scores[metric], least * mean)
        if found is None:
            raise ValueError("fewer than two classes were measured.")
        return Reached(*(least + found[end] / self.unit(metric) for end in _ENDS))

    @property
    def is_indistinct(self) -> bool:
        """Whether nobody would recognise the pictures, by a bar on either measure."""
        return self.relative.high < RECOGNISABLE or self.distinct.high < DISTINCT


def _mean(values: Sequence[float] | Sequence[Sequence[float]]) -> float:
    return float(np.asarray(values, np.float64).mean())


#: By level: what is measured, and the sentences if it is shown, refuted or undecided.
_LEVELS = {
    1: (
        "excess of panel accuracy over the strongest negative control",
        "Classifiers name the classes of {attack}'s reconstructions.",
        "Classifiers do not name the classes of any attack's reconstructions more often than those "
        "of negative controls.",
        "whether classifiers can name the classes of reconstructions",
    ),
    2: (
        "correlation as a share of the class mean's",
        "The reconstructions of {attack} show what each class looks like.",
        "No attack's reconstructions resemble their classes enough for a person to recognise them.",
        "whether reconstructions resemble their classes",
    ),
    4: (
        "excess of memorisation over a target that was trained without the class",
        "The reconstructions of {attack} are closer to the training samples than to held-out "
        "samples of the same class.",
        "Nothing shows that reconstructions contain individual training samples.",
        "whether reconstructions contain individual training samples",
    ),
}


def _signature(cases: list[_Case]) -> Claim:
    shown = [case for case in cases if case.exceeds(PANEL)]
    refuted = all(case.is_immaterial(PANEL) for case in cases)
    case = _nearest(shown or cases)
    _, excess = case.least(PANEL)
    reached = Reached(*(excess[end] for end in _ENDS))
    return _claim(1, bool(shown) or (False if refuted else None), case, reached, [PANEL])


def _content(cases: list[_Case]) -> Claim:
    shown = [case for case in cases if _is_recognisable(case)]
    refuted = all(case.is_indistinct or case.is_immaterial(IDENTIFICATION) for case in cases)
    case = _nearest(shown or cases)
    share = case.relative
    decided = bool(shown) or (False if refuted else None)
    found = _claim(2, decided, case, share, [IDENTIFICATION, LIKENESS])
    found["supports" if share.low > RECOGNISABLE else "opposes"].append(
        f"The correlation of {case.attack}'s reconstructions with their class is {share.value:.2f} "
        f"({share.low:.2f} to {share.high:.2f}) of what the class mean reaches; for recognisable "
        f"pictures it is at least {RECOGNISABLE:.2f}."
    )
    found["supports" if case.distinct.low > DISTINCT else "opposes"].append(
        f"The distinctness of {case.attack}'s reconstructions from other classes is "
        f"{case.distinct.value:.2f} ({case.distinct.low:.2f} to {case.distinct.high:.2f}) of the "
        f"class mean's; for recognisable pictures it is at least {DISTINCT:.2f}."
    )
    return found


def _is_recognisable(case: _Case) -> bool:
    beyond = case.exceeds(IDENTIFICATION) and case.exceeds(LIKENESS)
    return beyond and case.relative.low > RECOGNISABLE and case.distinct.low > DISTINCT


def _samples(cases: list[_Case]) -> Claim:
    """By one attack, chosen for its likeness, so that no chance has several attempts."""
    case = _nearest([c for c in cases if c.exceeds(IDENTIFICATION)] or cases)
    memorisation = case.memorisation
    own = interval(memorisation)
    beyond = paired(memorisation, case.controls["without-class"]["memorisation"])
    if own["value"] is None or own["low"] is None or own["high"] is None or beyond is None:
        return _undecided(4, ["There are no held-out samples to compare with."])
    shown = case.exceeds(IDENTIFICATION) and own["low"] > 0 and beyond["low"] > _DETAIL
    found = _claim(4, shown, case, Reached(*(beyond[end] for end in _ENDS)), [])
    found["supports" if shown else "opposes"].append(
        f"The reconstructions of {case.attack} correlate with the nearest training sample by "
        f"{own['value']:+.3f} ({own['low']:+.3f} to {own['high']:+.3f}) more than with the nearest "
        "held-out sample; those of a target that was trained without the class, by "
        f"{own['value'] - beyond['difference']:+.3f}. Single samples are shown if the difference "
        f"of the two is above {_DETAIL}, by the lower end of its interval."
    )
    return found


def _nearest(cases: list[_Case]) -> _Case:
    return max(cases, key=lambda case: case.nearness)


def _claim(
    level: int, shown: bool | None, case: _Case, reached: Reached, metrics: list[str]
) -> Claim:
    """A claim, and what speaks for it and against it."""
    measure, yes, no, whether = _LEVELS[level]
    sentences = {True: yes, False: no, None: f"The evidence does not decide {whether}."}
    said = {metric: _beside(case, metric) for metric in metrics}
    return Claim(
        kind=KIND,
        level=level,
        attack=case.attack,
        shown=shown,
        measure=measure,
        value=reached.value,
        low=reached.low,
        high=reached.high,
        sentence=sentences[shown].format(attack=case.attack),
        supports=[text for metric, text in said.items() if case.exceeds(metric)],
        opposes=[text for metric, text in said.items() if not case.exceeds(metric)],
    )


def _beside(case: _Case, metric: str) -> str:
    """How an attack compares with the control that comes nearest to it."""
    control, excess = case.least(metric)
    name, value = f"the {_SAID[metric]} of {case.attack}", excess["difference"]
    ends = f"interval {excess['low']:+.3f} to {excess['high']:+.3f}"
    if excess["low"] > 0:
        words = f"{name} exceeds that of every negative control"
    elif excess["high"] < 0:
        words = f"{name} is below that of a negative control"
    else:
        words = f"{name} does not clearly exceed that of every negative control"
    return f"{words[0].upper()}{words[1:]} (difference to {control} {value:+.3f}, {ends})."


def _undecided(level: int, reasons: list[str]) -> Claim:
    sentence = f"There is not enough evidence to decide {_LEVELS[level][3]}."
    return no_claim(KIND, level, sentence, reasons)


def _lacking(cases: list[_Case], classes: int) -> list[str]:
    """What every decision requires and the run does not have."""
    if not cases:
        return [_too_few(classes)] if classes < FEWEST else ["No reconstruction was evaluated."]
    required = [control for control in NEGATIVE if possible(control, classes)]
    missing = [c for c in required if any(c not in case.controls for case in cases)]
    return [f"Negative controls are missing: {', '.join(missing)}."] if missing else []


def _too_few(classes: int) -> str:
    return (
        f"There are {classes} classes, too few to compute intervals over; {FEWEST} reconstructions "
        "of each class, or as many runs, are needed instead."
    )


def _lacking_judges(sound: int, classes: int) -> list[str]:
    if classes < FEWEST:
        return [
            f"There are {classes} classes; with fewer than {FEWEST}, classifiers name those of an "
            "untrained network's reconstructions too often by chance."
        ]
    if sound >= _FEWEST_JUDGES:
        return []
    return [
        f"Only {sound} of the judges classif{'ies' if sound == 1 else 'y'} real data well enough "
        f"(test accuracy of at least {bar(classes):.2f}); {_FEWEST_JUDGES} are needed."
    ]


def _lacking_halves(classes: int) -> list[str]:
    if possible("without-class", classes):
        return []
    return [f"There are {classes} classes, too few for the control without the class."]


def _lacking_likeness(cases: list[_Case]) -> list[str]:
    if any("class-mean" not in case.controls for case in cases):
        return ["The control class-mean is missing."]
    if any({LIKENESS, DISTINCTNESS} - case.scores.keys() for case in cases):
        return ["The run was evaluated by a version that did not measure likeness to the class."]
    if any(not min(case.unit(m) for m in (LIKENESS, DISTINCTNESS)) > 0 for case in cases):
        return ["The means of held-out samples do not resemble the training samples."]
    return []
