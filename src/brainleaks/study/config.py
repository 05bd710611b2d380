"""Study files: a whole experiment, typed."""

import difflib
import json
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from brainleaks.attacks import Attack
from brainleaks.data import EVENTS, DatasetName
from brainleaks.data.encoding import RateCode
from brainleaks.data.events import Framing
from brainleaks.errors import InputError
from brainleaks.evaluation.controls import CONTROLS, Control
from brainleaks.networks.config import NetworkConfig, Strict
from brainleaks.training import Recipe

_LARGEST_FILE = 1 << 20

_Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
_Share = Annotated[float, Field(ge=0, le=1)]


class Model(Strict):
    """A network and how it is trained."""

    network: NetworkConfig
    training: Recipe


class PrintedDraws(Strict):
    """Means over 1,000 Bernoulli draws as the paper's release prints them."""

    attack_accuracy: _Share
    top3_accuracy: _Share


class PrintedAttack(Strict):
    """An attack's figures as the paper's release prints them."""

    attack_accuracy: _Share
    top3_accuracy: _Share
    confidence: _Share
    daa: _Share
    draws: PrintedDraws | None = None


class Printed(Strict):
    """The figures that the paper's release prints for this study (PROTOCOL, Figures printed)."""

    target_test_accuracy: _Share | None = None
    evaluator_test_accuracy: _Share | None = None
    attacks: dict[_Label, PrintedAttack] = Field(default_factory=dict)


class Subset(Strict):
    """How many training and test samples are used, from the first."""

    train: Annotated[int, Field(ge=1)]
    test: Annotated[int, Field(ge=1)]


class Judging(Strict):
    """How far a run is judged beyond the protocol's metrics.

    Each judge of the panel is trained for ``judge_steps`` steps. ``reconstructions`` a class are
    made by each attack that draws at random, and by the controls one; without any of the negative
    ``controls`` the verdict is inconclusive.
    """

    judge_steps: Annotated[int, Field(ge=1, le=100_000)] = 600
    reconstructions: Annotated[int, Field(ge=1, le=100)] = 3
    controls: tuple[Control, ...] = CONTROLS


class Study(Strict):
    """One experiment: a data set, a target, its evaluators, and the attacks on it.

    Images become spikes by the ``encoding``, if the networks are spiking. Events become binary
    ``frames``; ordinary networks are given each recording's time-average of them.
    ``draws`` is the number of Bernoulli draws that spike probabilities are judged on; ``judging``
    says how far the panel goes, ``null`` leaving it out; ``printed`` holds the paper's own figures,
    shown beside the measured ones.
    """

    name: _Label
    description: str = ""
    dataset: DatasetName
    subset: Subset | None = None
    encoding: RateCode | None = None
    frames: Framing | None = None
    target: Model
    evaluators: Annotated[dict[_Label, Model], Field(min_length=1)]
    attacks: Annotated[dict[_Label, Attack], Field(min_length=1)]
    draws: Annotated[int, Field(ge=1)] = 1000
    judging: Judging | None = Judging()
    printed: Printed = Printed()

    @model_validator(mode="after")
    def _inputs(self) -> "Study":
        if self.dataset in EVENTS:
            if self.frames is None:
                raise ValueError("frames: missing; events need it, with frame_us at least")
            if self.encoding is not None:
                raise ValueError("encoding: events are spikes already; leave encoding out")
            return self
        if self.frames is not None:
            raise ValueError("frames: images are no events; leave frames out")
        if self.spiking and self.encoding is None:
            raise ValueError("encoding: missing; a spiking target needs one, such as rate")
        if not self.spiking and self.encoding is not None:
            raise ValueError("encoding: an ordinary target takes images; leave encoding out")
        return self

    @model_validator(mode="after")
    def _one_family(self) -> "Study":
        spiking = self.spiking
        family = "spiking" if spiking else "ordinary"
        if "target" in self.evaluators:
            raise ValueError("evaluators.target: the target does not judge itself; rename it")
        for label, model in self.evaluators.items():
            if model.network.spiking != spiking:
                raise ValueError(f"evaluators.{label}: must be {family} like the target")
        for label, attack in self.attacks.items():
            if attack.spiking not in (spiking, None):
                raise ValueError(
                    f"attacks.{label}: {attack.attack} does not attack {family} networks"
                )
        return self

    @property
    def spiking(self) -> bool:
        """Whether the target is a spiking network."""
        return self.target.network.spiking


def preset_names() -> list[str]:
    """The presets that come with the package."""
    folder = resources.files("brainleaks.study") / "presets"
    return sorted(
        p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")
    )


def load_study(name_or_file: str, settings: tuple[str, ...] = ()) -> Study:
    """A preset by name, or a study file by path, with ``path.to.field=value`` settings applied.

    Raises:
        InputError: if there is no such preset or file, or it is not a valid study.
    """
    where, text = _read(name_or_file)
    try:
        content = _load_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{where} is not valid YAML: {_one_line(str(error))}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{where}: expected a mapping of fields such as name, dataset, target.")
    for setting in settings:
        _apply(content, setting)
    return parse_study(where, content)


def parse_study(where: str, content: Any) -> Study:
    """Validate the content of a study file.

    Raises:
        InputError: naming the file and the field.
    """
    try:
        # as JSON, where strictness lets mappings be models but no text or truth value be a number
        return Study.model_validate_json(json.dumps(content), strict=True)
    except (TypeError, RecursionError) as error:
        raise InputError(f"{where}: holds values that are not text, numbers or lists.") from error
    except ValidationError as error:
        problems = [_sentence(e, content) for e in error.errors()]
        shown = "; ".join(problems[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(f"{where}: {shown}{more}.") from error


def _read(name_or_file: str) -> tuple[str, str]:
    if name_or_file in preset_names():
        preset = resources.files("brainleaks.study") / "presets" / f"{name_or_file}.yaml"
        return f"preset {name_or_file}", preset.read_text(encoding="utf-8")
    path = Path(name_or_file)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        near = difflib.get_close_matches(name_or_file, [*preset_names(), "paper"], 1, 0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(
            f"no preset or study file called {name_or_file!r}.{hint} "
            f"The presets are {', '.join(preset_names())}, and paper, which stands for the paper's."
        )
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path} is over 1 MB; a study file is a page of YAML.")
        return str(path), path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8.") from error


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number, as YAML 1.2 does; PyYAML takes it for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _load_yaml(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)


def _apply(content: dict[str, Any], setting: str) -> None:
    """Set one ``path.to.field=value`` in the raw content; validation follows."""
    path, equals, value = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"--set {setting!r}: expected path.to.field=value.")
    node = content
    for key in keys[:-1]:
        child = node.setdefault(key, {}) if isinstance(node, dict) else None
        if not isinstance(child, dict):
            raise InputError(f"--set {setting!r}: {key} has no fields of its own.")
        node = child
    try:
        node[keys[-1]] = _load_yaml(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"--set {setting!r}: {value!r} is not a YAML value.") from error


def _sentence(error: Any, content: Any) -> str:
    """One validation error: which field, what was found, what was expected."""
    path = _field_path(error["loc"], content)
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{path}: unknown field"
    if error["type"] == "missing":
        return f"{path}: missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    if not path:
        return message
    found = f"found {error['input']!r}, " if not isinstance(error["input"], dict) else ""
    return f"{path}: {found}{message[:1].lower()}{message[1:]}"


def _field_path(location: tuple[Any, ...], content: Any) -> str:
    """The error's place as the user wrote it: without the names of a union's members."""
    path, node = [], content
    for i, key in enumerate(location, 1):
        if isinstance(node, dict) and key not in node and i < len(location):
            continue
        path.append(str(key))
        node = node.get(key) if isinstance(node, dict) else None
    return ".".join(path)


def _one_line(text: str) -> str:
    return " ".join(text.split())
