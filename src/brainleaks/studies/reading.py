"""Study files and presets, read and validated."""

import difflib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from brainleaks.data.own import OwnData
from brainleaks.errors import InputError, option, printable
from brainleaks.factory import is_factory
from brainleaks.files import atomic
from brainleaks.files.yaml import load_yaml
from brainleaks.studies.config import External, Study
from brainleaks.studies.fields import nearest_field

_LONGEST_VALUE = 100
#: Names that stand for several presets (:mod:`brainleaks.campaigns.collection`).
COLLECTIONS = (
    "paper",
    "strongest",
    "black-box",
    "prior",
    "membership",
    "speakers",
    "gradients",
    "federated",
    "streams",
    "cifar10",
    "defences",
)


def preset_names() -> list[str]:
    """The presets that come with the package."""
    folder = resources.files("brainleaks.studies") / "presets"
    return sorted(
        p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")
    )


def load_study(name_or_file: str, settings: tuple[str, ...] = (), *, trust: bool = False) -> Study:
    """A preset by name, or a study file by path, with ``path.to.field=value`` settings applied.

    Args:
        name_or_file: of the study.
        settings: changes.
        trust: whether the study may name functions of its own, which run when it does. Functions
            that the settings name are the caller's.

    Raises:
        InputError: if there is no such preset or file, or it is not a valid study, or it names a
            function and is not trusted.
    """
    where, text = _read(name_or_file)
    content = load_yaml(where, text)
    if not isinstance(content, dict):
        raise InputError(f"{where}: expected a mapping of fields such as name, dataset, target.")
    for setting in settings:
        apply_setting(content, setting)
    study = parse_study(where, content)
    if not trust:
        _refuse_code(where, study, {setting.partition("=")[0].strip() for setting in settings})
    return study


def _refuse_code(where: str, study: Study, named_by_user: set[str]) -> None:
    """Refuse functions that the file itself names: to import them is to run them."""
    named: dict[str, str] = {}
    if isinstance(study.target, External):
        functions = {"factory": study.target.factory, "recipe": study.target.recipe}
        named |= {f"target.{field}": name for field, name in functions.items() if name is not None}
    if isinstance(study.dataset, OwnData) and is_factory(study.dataset.path):
        named["dataset.path"] = study.dataset.path
    for field, function in named.items():
        if not named_by_user & {field, field.partition(".")[0]}:
            raise InputError(
                f"{where}: {field} names {function}, code that the study would run. If you trust "
                f"the study, add {option('trust', True)}, or name the function yourself: "
                f"{option('set', f'{field}=...')}."
            )


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
        end = "" if f"{shown}{more}".endswith("?") else "."
        raise InputError(f"{where}: {shown}{more}{end}") from error


def _read(name_or_file: str) -> tuple[str, str]:
    if name_or_file in preset_names():
        preset = resources.files("brainleaks.studies") / "presets" / f"{name_or_file}.yaml"
        return f"preset {name_or_file}", preset.read_text(encoding="utf-8")
    path = Path(name_or_file)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        near = difflib.get_close_matches(name_or_file, [*preset_names(), *COLLECTIONS], 1, 0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(
            f"no preset or study file called {name_or_file!r}.{hint} Presets: "
            f"{', '.join(preset_names())}. Collections of presets: {', '.join(COLLECTIONS)}."
        )
    return str(path), atomic.read_text(path)


def apply_setting(content: dict[str, Any], setting: str) -> None:
    """Set one ``path.to.field=value`` in the raw content; validation follows.

    Raises:
        InputError: if it is no such setting, or the path leads through what has no fields.
    """
    path, equals, value = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"{option('set')} {setting!r}: expected path.to.field=value.")
    node = content
    for key in keys[:-1]:
        child = node.setdefault(key, {}) if isinstance(node, dict) else None
        if not isinstance(child, dict):
            raise InputError(f"{option('set')} {setting!r}: {key} has no fields of its own.")
        node = child
    node[keys[-1]] = load_yaml(f"{option('set')} {printable(setting, 200)!r}", value)


def _sentence(error: Any, content: Any) -> str:
    """One validation error: which field, what was found, what was expected."""
    path = _field_path(error["loc"], content)
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        near = nearest_field(error["loc"])
        return f"{path}: unknown field" + (f"; did you mean {near}?" if near else "")
    if error["type"] == "missing":
        return f"{path}: missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    if not path:
        return message
    value = printable(repr(error["input"]), _LONGEST_VALUE)
    found = f"found {value}, " if not isinstance(error["input"], dict) else ""
    return f"{path}: {found}{message[:1].lower()}{message[1:]}"


def _field_path(location: tuple[Any, ...], content: Any) -> str:
    """The error's place as the user wrote it: without the names of a union's members."""
    path, node = [], content
    for i, key in enumerate(location, 1):
        if isinstance(node, dict) and key not in node and i < len(location):
            continue
        if isinstance(node, str):  # the name of a union's member that a text was taken for
            continue
        path.append(str(key))
        if isinstance(node, list) and isinstance(key, int) and key < len(node):
            node = node[key]
        else:
            node = node.get(key) if isinstance(node, dict) else None
    return ".".join(path)
