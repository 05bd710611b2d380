"""What ``results.json`` and ``provenance.json`` hold, field by field.

Fields are written in the order in which they stand here. Numbers are finite: where nothing was
measured there is ``None``. Whatever passes can be shown by a report.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from brainleaks.runs.fields import Count, Label, Name, Number, Part, Share, Text
from brainleaks.runs.membership import Membership
from brainleaks.runs.recovered import RecoveredBatch
from brainleaks.runs.users import UserMembership
from brainleaks.studies.printed import Printed

#: Of each step of a training or an attack, its quantities, such as ``{"loss": 0.3}``.
_Steps = list[Annotated[dict[Name, Number], Field(min_length=1, max_length=8)]]


def _are_alike(steps: _Steps) -> _Steps:
    if any(step.keys() != steps[0].keys() for step in steps):
        raise ValueError("every step of a curve has the same quantities")
    return steps


_Curve = Annotated[_Steps, AfterValidator(_are_alike)]

_VERSIONS = {"brainleaks", "torch", "python"}
_SIDES = ("members", "held_out")
_COMPARED = ("correlation", "mean_correlation", "ssim", "feature_distance", "feature_distance_5")
#: What every reconstruction that the panel judged was measured by.
_MEASURES = frozenset(
    {"identification", "reidentified", "memorisation"}
    | {f"{measure}_{side}" for measure in _COMPARED for side in _SIDES}
)


class _Dataset(Part):
    name: Name
    classes: Annotated[int, Field(ge=1)]
    class_names: list[Name]
    input_shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3, max_length=3)]
    train: Count
    test: Count
    fingerprint: Name = ""
    set_apart: Count = 0

    @model_validator(mode="after")
    def _each_class_has_its_name(self) -> Self:
        if not len(self.class_names) == len(set(self.class_names)) == self.classes:
            raise ValueError(f"{self.classes} classes need as many different class_names")
        return self


class _Weights(Part):
    file: Name
    sha256: Name


class _Adapter(Part):
    why_not_lowered: Text | None = None
    notes: list[Text] = []


class _Target(Part):
    family: Literal["snn", "ann"]
    train_accuracy: Share
    test_accuracy: Share
    seconds: Number
    curve: _Curve = []
    spikes: Annotated[Number, Field(ge=0)] | None = None
    weights: _Weights | None = None
    framework: Name | None = None
    lowered: bool | None = None
    adapter: _Adapter | None = None


class _Evaluator(Part):
    name: Label
    train_accuracy: Share
    test_accuracy: Share
    seconds: Number
    curve: _Curve = []


class _Metrics(Part):
    attack_accuracy: Share
    top3_accuracy: Share
    confidence: Number
    daa: Share


class _Draws(Part):
    n: Count
    mean: _Metrics
    std: _Metrics


class _Attack(Part):
    name: Label
    evaluator: Label
    attack_accuracy: Share
    top3_accuracy: Share
    confidence: Number
    daa: Share
    draws: _Draws | None = None
    matrix: list[list[Number]]
    seconds: Number
    queries: Count
    curve: _Curve = []


class _Judge(Part):
    name: Label
    kind: Name
    learned_from: Name
    samples: Count
    test_accuracy: Share
    counts: bool
    seconds: Number


class _Interval(Part):
    value: Number | None
    low: Number | None
    high: Number | None
    by_class: list[Number | None]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len({self.value is None, self.low is None, self.high is None}) != 1:
            raise ValueError("value, low and high must be numbers, or null all three")
        return self


class _Agreement(Part):
    pairs: Number
    kappa: Number | None


class _View(Part):
    attack_accuracy: Share
    confidence: Number


class _Likeness(Part):
    reconstructions: Count
    strongest_control: Label | None
    agreement: _Agreement
    metrics: dict[Name, _Interval]
    target: _View


class _Control(Part):
    attack: Label
    control: Label
    negative: bool
    metrics: dict[Name, _Interval]


class _Test(Part):
    metric: Name
    first: Name
    second: Name
    difference: Number
    low: Number
    high: Number
    p: Share
    effect: Number | None
    classes: Count
    p_holm: Share


class _Statistics(Part):
    confidence: Share
    clusters: Name
    smallest_p: Share | None = None
    tests: list[_Test]


class _Claimed(Part):
    """What claims and levels have alike; the sentences are absent in older runs."""

    level: Count
    attack: Label | None
    measure: Text | None = None
    value: Number | None
    low: Number | None
    high: Number | None
    sentence: Text
    supports: list[Text] = []
    opposes: list[Text] = []


class _Claim(_Claimed):
    kind: Name
    shown: bool | None


class _Rung(_Claimed):
    name: Name
    status: Literal["yes", "no", "inconclusive", "not tested"]
    meaning: Text


class _Verdict(Part):
    """Older runs have no ``level`` and no ``levels``."""

    verdict: Literal["leak", "no leak shown", "inconclusive"]
    level: Annotated[int, Field(ge=0, le=4)] | None = None
    attack: Label | None
    sentence: Text
    levels: list[_Rung] = []
    reasons: list[Text]
    claims: list[_Claim] = []


class _Defence(Part):
    name: Label
    acts: Name
    settings: dict[Name, JsonValue] = {}
    facts: dict[Name, JsonValue] = {}


class _Failure(Part):
    part: Name
    name: Name
    why: Text


class Results(Part):
    """``results.json``; without what follows ``printed`` if an older version wrote it."""

    run_dir: Text = ""
    preset: Name
    description: Text
    seed: Count
    dataset: _Dataset
    target: _Target
    evaluators: list[_Evaluator]
    attacks: list[_Attack]
    printed: Printed
    judges: list[_Judge] = []
    likeness: dict[Label, _Likeness] = {}
    controls: list[_Control] = []
    statistics: _Statistics | None = None
    evidence: dict[Label, dict[Name, JsonValue]] = {}
    verdict: _Verdict | None = None
    defences: list[_Defence] = []
    failures: list[_Failure] = []

    @model_validator(mode="after")
    def _evidence_of_known_kinds(self) -> Self:
        if (found := self.evidence.get("membership")) is not None:
            Membership.model_validate(found)
        if found := self.evidence.get("user-membership"):
            UserMembership.model_validate(found)
        if found := self.evidence.get("recovered-batch"):
            RecoveredBatch.model_validate(found)
        return self

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        classes = self.dataset.classes
        names = {attack.name for attack in self.attacks} | self.likeness.keys()
        if not names and not self.evidence:
            raise ValueError("no attack was judged")
        for attack in self.attacks:
            if [len(row) for row in attack.matrix] != [classes] * classes:
                raise ValueError(f"the matrix of {attack.name} is not {classes} by {classes}")
        measured = [(name, found.metrics) for name, found in self.likeness.items()]
        measured += [(entry.attack, entry.metrics) for entry in self.controls]
        if not {entry.attack for entry in self.controls} <= self.likeness.keys():
            raise ValueError("controls name an attack that is not there")
        for name, metrics in measured:
            if missing := self._expected - metrics.keys():
                raise ValueError(f"{name} has no {min(missing)}")
            if any(len(found.by_class) != classes for found in metrics.values()):
                raise ValueError(f"a measure of {name} does not have {classes} values by class")
        named = self.verdict.attack if self.verdict else None
        if named is not None and named not in names and not self.evidence:
            raise ValueError("the verdict names an attack that is not there")
        return self

    @property
    def _expected(self) -> frozenset[str]:
        return _MEASURES | {f"attack_accuracy:{judge.name}" for judge in self.judges}


class _Machine(Part):
    system: Name
    processor: Name
    threads: Count
    device: Name


class Provenance(Part):
    """``provenance.json``."""

    study: Name
    seed: Count
    data: Name
    finished: Name
    command: Text
    versions: dict[Name, Name]
    machine: _Machine
    target_weights: _Weights | None = None
    weights: dict[Name, Name]

    @model_validator(mode="after")
    def _says_what_it_must(self) -> Self:
        if "target" not in self.weights or not self.versions.keys() >= _VERSIONS:
            raise ValueError("the versions and the target's digest must be there")
        return self
