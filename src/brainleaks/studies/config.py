"""Studies: a whole experiment, typed."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator
from torch import nn

from brainleaks.attacks import AnyAttack, WithinPrior, suits
from brainleaks.data import EVENTS, DatasetName
from brainleaks.data.codes import IMAGE_CODES, DirectCode, LatencyCode, StreamCode
from brainleaks.data.encoding import RateCode
from brainleaks.data.events import Framing
from brainleaks.data.own import OwnData
from brainleaks.defences import AnyDefence, acting
from brainleaks.errors import InputError
from brainleaks.networks.config import NetworkConfig, Strict
from brainleaks.networks.views import Coded
from brainleaks.studies.printed import Printed
from brainleaks.studies.testing import Judging, Membership, TrainingSteps
from brainleaks.target import RANKS, Access
from brainleaks.training import Recipe

_Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
_Share = Annotated[float, Field(ge=0, le=1)]


class Model(Strict):
    """A network and how it is trained."""

    network: NetworkConfig
    training: Recipe


class External(Strict):
    """An external target, built and trained elsewhere (:mod:`brainleaks.adapters`).

    ``model`` is its file, or what it is called where it was handed over in Python; without, its
    ``factory`` makes all of it. ``framework``, ``factory``, ``dt`` and ``reset`` say how the file
    is read. ``training`` is how its architecture is retrained for the controls, unless ``recipe``,
    ``module:function``, trains it (:func:`brainleaks.pipeline.recipe.train_by`). ``service_id``
    names what answers where the model is a function that shows no weights; what is computed of it
    is kept under that name, and without one it is not kept. ``initial`` is a file like ``model``
    with the weights before training, for attacks that are granted them.
    """

    model: str | None = None
    framework: str | None = None
    factory: str | None = None
    dt: Annotated[float, Field(gt=0)] | None = None
    reset: str | None = None
    service_id: Annotated[
        str | None, Field(max_length=200, exclude_if=lambda service_id: service_id is None)
    ] = None
    recipe: Annotated[str | None, Field(exclude_if=lambda recipe: recipe is None)] = None
    initial: Annotated[str | None, Field(exclude_if=lambda initial: initial is None)] = None
    training: Recipe


def _of_target(value: Any) -> str:
    if isinstance(value, dict):
        return "foreign" if value.keys() & {"model", "factory", "framework"} else "own"
    return "foreign" if isinstance(value, External) else "own"


def _of_dataset(value: Any) -> str:
    return "named" if isinstance(value, str) else "own"


def _of_encoding(value: Any) -> str:
    found = value.get("encoding") if isinstance(value, dict) else getattr(value, "encoding", None)
    return found if found in ("latency", "direct", "stream") else "rate"


_Target = Annotated[
    Annotated[Model, Tag("own")] | Annotated[External, Tag("foreign")], Discriminator(_of_target)
]
_Dataset = Annotated[
    Annotated[DatasetName, Tag("named")] | Annotated[OwnData, Tag("own")],
    Discriminator(_of_dataset),
]
_Encoding = Annotated[
    Annotated[RateCode, Tag("rate")]
    | Annotated[LatencyCode, Tag("latency")]
    | Annotated[DirectCode, Tag("direct")]
    | Annotated[StreamCode, Tag("stream")],
    Discriminator(_of_encoding),
]


class Subset(Strict):
    """How many training and test samples are used, from the first."""

    train: Annotated[int, Field(ge=1)]
    test: Annotated[int, Field(ge=1)]


class LearnedPrior(Strict):
    """A generative prior of images, and the classes that it learns from.

    The target, its judges and the comparison never see these classes; the others are renumbered.
    """

    classes: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    latent: Annotated[int, Field(ge=1)] = 32
    hidden: Annotated[int, Field(ge=1)] = 256
    training: Recipe


class Study(Strict):
    """One experiment: a data set, a target, its evaluators, and the attacks on it.

    Images become spikes by the ``encoding``, if the networks are spiking; behind another one than
    the rate code, they are networks of images, and attacked as such. Events become binary
    ``frames``; ordinary networks are given each recording's time-average of them. ``access``
    is what the attacker may see. Attacks within a ``prior`` search what that learned from classes
    that nothing else here sees. ``defences`` change how the target is trained, stored, run or
    answers, in this order; the networks that controls and attackers train are defended alike.
    ``draws`` is the number of Bernoulli draws that spike probabilities are judged on; ``judging``
    says how far the panel goes, ``null`` leaving it out; ``membership`` says how membership is
    tested, if an attack tests it; ``training_steps`` says which steps are attacked, if an attack
    attacks them; ``printed`` holds the paper's own figures,
    shown beside the measured ones.
    """

    name: _Label
    description: str = ""
    dataset: _Dataset
    subset: Subset | None = None
    encoding: _Encoding | None = None
    frames: Framing | None = None
    target: _Target
    access: Access = "gradients"
    # absent where there is none: what identifies a study does not change by what it leaves out
    prior: Annotated[LearnedPrior | None, Field(exclude_if=lambda prior: prior is None)] = None
    evaluators: dict[_Label, Model] = Field(default_factory=dict)
    attacks: Annotated[dict[_Label, AnyAttack], Field(min_length=1)]
    defences: Annotated[
        tuple[AnyDefence, ...], Field(max_length=20, exclude_if=lambda chosen: not chosen)
    ] = ()
    draws: Annotated[int, Field(ge=1)] = 1000
    judging: Judging | None = Judging()
    membership: Annotated[Membership | None, Field(exclude_if=lambda chosen: chosen is None)] = None
    training_steps: Annotated[
        TrainingSteps | None, Field(exclude_if=lambda chosen: chosen is None)
    ] = None
    printed: Printed = Printed()

    @model_validator(mode="after")
    def _inputs(self) -> "Study":
        if self.recorded:
            if self.dataset in EVENTS and self.frames is None:
                raise ValueError("frames: missing; events need it, with frame_us at least")
            if self.encoding is not None:
                raise ValueError("encoding: event data are spikes already; leave encoding out")
            return self
        if self.frames is not None:
            raise ValueError("frames: only event data are cut into frames; leave frames out")
        if isinstance(self.target, External):
            return self
        spiking = self.target.network.spiking
        if spiking and self.encoding is None:
            raise ValueError("encoding: missing; a spiking target needs one, such as rate")
        if not spiking and self.encoding is not None:
            raise ValueError(
                "encoding: an ordinary (non-spiking) target takes images directly; leave encoding "
                "out"
            )
        return self

    @model_validator(mode="after")
    def _enough_evaluators(self) -> "Study":
        kinds = {label: attack.kind for label, attack in self.attacks.items()}
        made = [label for label, kind in kinds.items() if kind == "class-reconstruction"]
        if made and not self.evaluators:
            raise ValueError(
                f"evaluators: missing; attacks.{made[0]} reconstructs classes, which an evaluator "
                "judges"
            )
        return self

    @model_validator(mode="after")
    def _one_family(self) -> "Study":
        spiking = self.target.network.spiking if isinstance(self.target, Model) else self.spiking
        family = "spiking" if spiking else "ordinary"
        if "target" in self.evaluators:
            raise ValueError(
                "evaluators.target: this name is reserved for the target; rename the evaluator"
            )
        for label, model in self.evaluators.items():
            if model.network.spiking != spiking:
                raise ValueError(f"evaluators.{label}: must be {family} like the target")
        for label, attack in self.attacks.items():
            if attack.spiking not in (self.spiking, None):
                behind = f" behind {self.encoding.encoding} encoding" if self.encoding else ""
                raise ValueError(
                    f"attacks.{label}: {attack.attack} does not support {family} networks{behind}"
                )
            encoding = self.encoding.encoding if self.encoding else None
            if not suits(attack, encoding):
                raise ValueError(
                    f"attacks.{label}: {attack.attack} attacks networks behind stream encoding; "
                    f"the study has {encoding or 'none'}"
                )
            if RANKS.index(attack.access) > RANKS.index(self.access):
                raise ValueError(
                    f"attacks.{label}: {attack.attack} needs {attack.access}, and access is "
                    f"{self.access}"
                )
        return self

    @model_validator(mode="after")
    def _search(self) -> "Study":
        for label, attack in self.attacks.items():
            if isinstance(attack, WithinPrior) and self.prior is None:
                raise ValueError(f"attacks.{label}: requires a prior, but the study defines none")
        searched = any(isinstance(attack, WithinPrior) for attack in self.attacks.values())
        if self.prior is not None and not searched:
            raise ValueError("prior: no attack uses it; add a within-prior attack, or leave it out")
        if self.prior is not None and self.recorded:
            raise ValueError("prior: supports images only; leave it out for event data")
        if self.prior is not None and isinstance(self.target, External):
            raise ValueError(
                "prior: an external target was trained on all classes, so none can be set apart; "
                "leave the prior out"
            )
        return self

    @model_validator(mode="after")
    def _defended(self) -> "Study":
        names = [defence.name for defence in self.defences]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"defences: {name} is there more than once; give it once")
        if isinstance(self.target, External) and (found := acting(self.defences, "training")):
            raise ValueError(
                f"defences: {found[0].name} acts on training, and an external target is trained "
                "already; train it with the defence, or choose one that acts on weights, neurons "
                "or answers"
            )
        kinds = {attack.kind for attack in self.attacks.values()}
        if "recovered-batch" not in kinds and (found := acting(self.defences, "step")):
            raise ValueError(
                f"defences: {found[0].name} acts on what is sent of a training step, which no "
                "attack of this study attacks; add spike-separation, for example, or leave it out"
            )
        return self

    @property
    def spiking(self) -> bool:
        """Whether the target takes spike trains rather than images."""
        if isinstance(self.target, External):
            return self.recorded or isinstance(self.encoding, RateCode)
        return self.target.network.spiking and not isinstance(self.encoding, IMAGE_CODES)

    def build(self, network: NetworkConfig, shape: tuple[int, ...], classes: int) -> nn.Module:
        """One of its networks, behind its encoding where that makes it a network of images.

        Args:
            network: its settings.
            shape: of the data, without samples and time.
            classes: how many.

        Raises:
            ValueError: if the shape is too small for the network.
        """
        code = self.encoding
        if network.spiking and isinstance(code, IMAGE_CODES):
            return Coded(network.build(code.step_shape(shape), classes), code, code.steps)
        return network.build(shape, classes)

    @property
    def recorded(self) -> bool:
        """Whether the data are recordings, rather than images."""
        if isinstance(self.dataset, OwnData):
            return self.frames is not None or self.dataset.framed
        return self.dataset in EVENTS

    @property
    def family(self) -> Literal["snn", "ann"]:
        """The target's family; behind an encoding it is spiking."""
        return "snn" if self.spiking or self.encoding is not None else "ann"

    @property
    def data_name(self) -> str:
        """The name of the data set in the results."""
        return self.dataset.name if isinstance(self.dataset, OwnData) else self.dataset

    @property
    def model(self) -> Model:
        """The target's network and training, where it is one of this package's.

        Raises:
            InputError: if it was built elsewhere.
        """
        if isinstance(self.target, External):
            raise InputError(
                "target: an external model; this operation needs a target that the study builds "
                "and trains."
            )
        return self.target
