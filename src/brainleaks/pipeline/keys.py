"""What determines a stage's bytes, and its hash."""

import ast
import functools
import hashlib
import json
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import torch

import brainleaks

#: In a key: part of what determines the stage is not known, so that nothing of it may be kept.
UNKNOWN = "not known"


def is_known(key: Any) -> bool:
    """Whether a key says all that determines its stage."""
    if isinstance(key, dict):
        return all(is_known(value) for value in key.values())
    if isinstance(key, list | tuple):
        return all(is_known(value) for value in key)
    return bool(key != UNKNOWN)


def digest(key: dict[str, Any], *, whole: bool = False) -> str:
    """A hash of anything that JSON can hold, of 16 hexadecimal digits or ``whole``."""
    found = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return found if whole else found[:16]


def environment(device: str, *modules: str) -> dict[str, Any]:
    """What else determines a stage's bytes: its code, the libraries, the device, its threads.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        modules: names of the modules that compute the stage.
    """
    return {
        "brainleaks": brainleaks.__version__,
        "code": code_digest(*modules),
        "torch": torch.__version__,
        "numba": metadata.version("numba"),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "threads": torch.get_num_threads(),
    }


@functools.cache
def code_digest(*modules: str) -> str:
    """Hash of the source of these modules and of all that they import from this package."""
    joined = hashlib.sha256()
    for name, tree in sorted(_closure(modules).items()):
        joined.update(f"{name}\n{_without_prose(tree)}\n".encode())
    return joined.hexdigest()[:16]


def _closure(modules: tuple[str, ...]) -> dict[str, ast.Module]:
    """The syntax trees of these modules and of those of this package that they name."""
    found: dict[str, ast.Module] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and (path := _source(name)) is not None:
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
            waiting += _imports(found[name])
    return found


def _imports(tree: ast.Module) -> list[str]:
    """What a module may import from this package, ``from a import b`` as ``a`` and ``a.b``."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("brainleaks."):
            names += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.ImportFrom) and node.module == "brainleaks":
            names += [f"brainleaks.{alias.name}" for alias in node.names]
    return names


def _source(module: str) -> Path | None:
    """Where a module of this package lies, if it is one."""
    base = Path(str(resources.files("brainleaks"))).joinpath(*module.split(".")[1:])
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _without_prose(tree: ast.Module) -> str:
    """A syntax tree without comments and docstrings, which compute nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
