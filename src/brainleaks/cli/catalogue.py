"""What there is to run, read from the package's files: importing them would bring torch."""

import ast
from collections.abc import Iterator
from importlib import resources
from typing import Any

import yaml

_PACKAGE = resources.files("brainleaks")
#: The networks that an attack is for, by its ``spiking``.
_NETWORKS = {True: "spiking", False: "ordinary", None: "either"}


def presets() -> dict[str, str]:
    """The description of each preset, and of each collection of presets."""
    return {path.name.removesuffix(".yaml"): _description(path) for path in _presets()}


def preset_names() -> list[str]:
    """The names of presets, and of collections of presets."""
    return sorted(path.name.removesuffix(".yaml") for path in _presets())


def data_sets() -> dict[str, str]:
    """The first line of what each data set's file says of it."""
    (names,) = (
        ast.literal_eval(node.value.slice)
        for node in _tree(_PACKAGE / "data" / "__init__.py").body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Subscript)
        and ast.unparse(node.targets[0]) == "DatasetName"
    )
    files = {name: _PACKAGE / "data" / f"{name.replace('-', '_')}.py" for name in names}
    return {name: _first_line(_tree(path)) for name, path in files.items()}


def attacks() -> dict[str, dict[str, Any]]:
    """Each attack's ``access``, ``networks`` and ``description``."""
    found = {}
    for path in sorted(_files(_PACKAGE / "attacks"), key=lambda path: path.name):
        for node in _tree(path).body:
            fields = _fields(node) if isinstance(node, ast.ClassDef) else {}
            if {"attack", "kind"} <= fields.keys():
                found[fields["attack"]] = {
                    "access": fields.get("access"),
                    "networks": _NETWORKS[fields["spiking"]],
                    "description": _first_line(node),
                }
    return found


def defences() -> dict[str, dict[str, Any]]:
    """What each defence ``acts`` on, and its ``description``."""
    found = {}
    for path in sorted(_files(_PACKAGE / "defences"), key=lambda path: path.name):
        for node in _tree(path).body:
            fields = _fields(node) if isinstance(node, ast.ClassDef) else {}
            if {"name", "acts"} <= fields.keys():
                found[fields["name"]] = {
                    "acts": fields["acts"],
                    "description": _first_line(node),
                }
    return found


def _presets() -> Iterator[Any]:
    for place in (_PACKAGE / "studies" / "presets", _PACKAGE / "campaigns" / "collections"):
        for path in sorted(place.iterdir(), key=lambda path: path.name):
            if path.name.endswith(".yaml"):
                yield path


def _files(folder: Any) -> Iterator[Any]:
    """The Python files of a folder and of those in it."""
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files(path)
        elif path.name.endswith(".py"):
            yield path


def _description(path: Any) -> str:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 (a safe one)
    return str(content["description"]).strip()


def _tree(path: Any) -> ast.Module:
    text: str = path.read_text(encoding="utf-8")
    return ast.parse(text)


def _fields(node: ast.ClassDef) -> dict[str, Any]:
    """The fields of a class whose values are written there."""
    return {
        item.target.id: item.value.value
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and isinstance(item.value, ast.Constant)
    }


def _first_line(node: Any) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]
