"""What ``results.json`` and ``provenance.json`` hold, field by field.

Fields are written in the order in which they stand here. Numbers are finite: where nothing was
measured there is ``None``. Whatever passes can be shown by a report.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from brainleaks.studies.printed import Printed

_MOST = 1e15
_Number = Annotated[float, Field(ge=-_MOST, le=_MOST, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=_MOST)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Text = Annotated[str, Field(max_length=100_000)]
_Name = Annotated[str, Field(max_length=1_000)]
#: Names a file in the run folder, and charts in its report.
_Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
#: Of each step of a training or an attack, its quantities, such as ``{"loss": 0.3}``.
_Steps = list[Annotated[dict[_Name, _Number], Field(min_length=1, max_length=8)]]


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


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    __pydantic_extra__: dict[str, JsonValue]


class _Dataset(_Part):
    name: _Name
    classes: Annotated[int, Field(ge=1)]
    class_names: list[_Name]
    input_shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3, max_length=3)]
    train: _Count
    test: _Count
    fingerprint: _Name = ""
    set_apart: _Count = 0

    @model_validator(mode="after")
    def _each_class_has_its_name(self) -> Self:
        if not len(self.class_names) == len(set(self.class_names)) == self.classes:
            raise ValueError(f"{self.classes} classes need as many different class_names")
        return self


class _Weights(_Part):
    file: _Name
    sha256: _Name


class _Adapter(_Part):
    why_not_lowered: _Text | None = None
    notes: list[_Text] = []


class _Target(_Part):
    family: Literal["snn", "ann"]
    train_accuracy: _Share
    test_accuracy: _Share
    seconds: _Number
    curve: _Curve = []
    weights: _Weights | None = None
    framework: _Name | None = None
    lowered: bool | None = None
    adapter: _Adapter | None = None


class _Evaluator(_Part):
    name: _Label
    train_accuracy: _Share
    test_accuracy: _Share
    seconds: _Number
    curve: _Curve = []


class _Metrics(_Part):
    attack_accuracy: _Share
    top3_accuracy: _Share
    confidence: _Number
    daa: _Share


class _Draws(_Part):
    n: _Count
    mean: _Metrics
    std: _Metrics


class _Attack(_Part):
    name: _Label
    evaluator: _Label
    attack_accuracy: _Share
    top3_accuracy: _Share
    confidence: _Number
    daa: _Share
    draws: _Draws | None = None
    matrix: list[list[_Number]]
    seconds: _Number
    queries: _Count
    curve: _Curve = []


class _Judge(_Part):
    name: _Label
    kind: _Name
    learned_from: _Name
    samples: _Count
    test_accuracy: _Share
    counts: bool
    seconds: _Number


class _Interval(_Part):
    value: _Number | None
    low: _Number | None
    high: _Number | None
    by_class: list[_Number | None]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len({self.value is None, self.low is None, self.high is None}) != 1:
            raise ValueError("value, low and high must be numbers, or null all three")
        return self


class _Agreement(_Part):
    pairs: _Number
    kappa: _Number | None


class _View(_Part):
    attack_accuracy: _Share
    confidence: _Number


class _Likeness(_Part):
    reconstructions: _Count
    strongest_control: _Label | None
    agreement: _Agreement
    metrics: dict[_Name, _Interval]
    target: _View


class _Control(_Part):
    attack: _Label
    control: _Label
    negative: bool
    metrics: dict[_Name, _Interval]


class _Test(_Part):
    metric: _Name
    first: _Name
    second: _Name
    difference: _Number
    low: _Number
    high: _Number
    p: _Share
    effect: _Number | None
    classes: _Count
    p_holm: _Share


class _Statistics(_Part):
    confidence: _Share
    clusters: _Name
    smallest_p: _Share | None = None
    tests: list[_Test]


class _Claimed(_Part):
    """What claims and levels have alike; the sentences are absent in older runs."""

    level: _Count
    attack: _Label | None
    measure: _Text | None = None
    value: _Number | None
    low: _Number | None
    high: _Number | None
    sentence: _Text
    supports: list[_Text] = []
    opposes: list[_Text] = []


class _Claim(_Claimed):
    kind: _Name
    shown: bool | None


class _Rung(_Claimed):
    name: _Name
    status: Literal["yes", "no", "inconclusive", "not tested"]
    meaning: _Text


class _Verdict(_Part):
    """Older runs have no ``level`` and no ``levels``."""

    verdict: Literal["leak", "no leak shown", "inconclusive"]
    level: Annotated[int, Field(ge=0, le=4)] | None = None
    attack: _Label | None
    sentence: _Text
    levels: list[_Rung] = []
    reasons: list[_Text]
    claims: list[_Claim] = []


class _Rate(_Part):
    value: _Number
    low: _Number
    high: _Number


class _MembershipLeak(_Part):
    fpr: _Share
    tpr: _Rate
    false: _Rate


class _MembershipAttack(_Part):
    auc: _Rate
    tpr_at_fpr: dict[Annotated[str, Field(pattern=r"^0\.\d{1,9}$")], _Rate]
    finest_fpr: Annotated[float, Field(gt=0, le=1)]
    balanced_accuracy: _Share
    leak: _MembershipLeak
    roc: Annotated[
        list[Annotated[list[_Share], Field(min_length=2, max_length=2)]],
        Field(min_length=1, max_length=1000),
    ]
    queries: _Count
    seconds: _Number
    controls: dict[_Name, _Rate]


class _Exposed(_Part):
    sample: _Count
    score: _Number


class _Membership(_Part):
    """Under ``evidence``, as :mod:`brainleaks.pipeline.evidence.membership` finds it."""

    members: _Count
    non_members: _Count
    population: _Count
    draws: _Count
    shadows: _Count
    remarks: list[_Text] = []
    shift: _Rate | None
    attacks: dict[_Label, _MembershipAttack]
    exposed: Annotated[list[_Exposed], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _same_rates(self) -> Self:
        if len({tuple(attack.tpr_at_fpr) for attack in self.attacks.values()}) > 1:
            raise ValueError("every attack's tpr_at_fpr must have the same rates")
        return self


class _Failure(_Part):
    part: _Name
    name: _Name
    why: _Text


class Results(_Part):
    """``results.json``; without what follows ``printed`` if an older version wrote it."""

    run_dir: _Text = ""
    preset: _Name
    description: _Text
    seed: _Count
    dataset: _Dataset
    target: _Target
    evaluators: list[_Evaluator]
    attacks: list[_Attack]
    printed: Printed
    judges: list[_Judge] = []
    likeness: dict[_Label, _Likeness] = {}
    controls: list[_Control] = []
    statistics: _Statistics | None = None
    evidence: dict[_Label, dict[_Name, JsonValue]] = {}
    verdict: _Verdict | None = None
    failures: list[_Failure] = []

    @model_validator(mode="after")
    def _evidence_of_known_kinds(self) -> Self:
        if (found := self.evidence.get("membership")) is not None:
            _Membership.model_validate(found)
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


class _Machine(_Part):
    system: _Name
    processor: _Name
    threads: _Count
    device: _Name


class Provenance(_Part):
    """``provenance.json``."""

    study: _Name
    seed: _Count
    data: _Name
    finished: _Name
    command: _Text
    versions: dict[_Name, _Name]
    machine: _Machine
    target_weights: _Weights | None = None
    weights: dict[_Name, _Name]

    @model_validator(mode="after")
    def _says_what_it_must(self) -> Self:
        if "target" not in self.weights or not self.versions.keys() >= _VERSIONS:
            raise ValueError("the versions and the target's digest must be there")
        return self
