"""Every stage's result, kept under the hash of all that determines it."""

import ast
import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import Tensor
from tqdm import tqdm

import brainleaks
from brainleaks import atomic
from brainleaks.monitor import Monitor, State
from brainleaks.target import Target

_SHARE_OF_TIME_SAVING = 0.05
#: In a log, what takes less than this is not worth a line.
_SECONDS_A_LINE = 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


@dataclass
class Artefact:
    """A stage's result: tensors, which are reproducible to the byte, and facts such as seconds."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)


class Store:
    """A folder of artefacts; by default ``BRAINLEAKS_STORE``, else in the user's cache."""

    def __init__(self, root: Path | None = None) -> None:
        named = os.environ.get("BRAINLEAKS_STORE")
        self.root = root or Path(named or Path(platformdirs.user_cache_dir("brainleaks")) / "store")

    def get_or_make(
        self, stage: str, key: dict[str, Any], make: Callable[["Recorder"], Artefact]
    ) -> Artefact:
        """The artefact of ``stage`` under ``key``, made if it is not there yet.

        ``make`` is handed a monitor that shows progress and keeps checkpoints, so that what was
        cut off goes on where it stopped.
        """
        base = self.root / f"{stage.split(':')[0]}-{digest(key)}"
        weights, facts = base.with_suffix(".safetensors"), base.with_suffix(".json")
        if weights.exists() and facts.exists():
            return Artefact(atomic.read_tensors(weights), atomic.read_json(facts))
        recorder = Recorder(base.with_suffix(".checkpoint"), stage)
        artefact = make(recorder)
        artefact.facts |= {"seconds": round(recorder.seconds, 3), "curve": recorder.curve}
        atomic.write_tensors(weights, artefact.tensors)
        atomic.write_json(facts, artefact.facts)
        recorder.forget()
        return artefact


class Recorder(Monitor):
    """Shows progress, and keeps a checkpoint to go on from.

    On a terminal there is a bar; in a log, a line every half minute. Checkpoints are as frequent as
    a twentieth of the time allows.
    """

    def __init__(self, checkpoint: Path, label: str) -> None:
        self.curve: list[dict[str, float]] = []
        self._checkpoint, self._label = checkpoint, label
        self._started = time.perf_counter()
        self._spent_before = 0.0
        self._target: Target | None = None
        self._saved_at, self._saving_took = self._started, 0.0
        self._said_at = self._started

    @property
    def seconds(self) -> float:
        """Time spent on the stage, in all its attempts."""
        return self._spent_before + time.perf_counter() - self._started

    def count_queries(self, target: Target) -> None:
        """Keep the target's number of queries with the checkpoint."""
        self._target = target

    def resume(self, start: State) -> State:
        if not self._checkpoint.exists():
            return start
        device = next(iter(start.values())).device
        saved = atomic.read_tensors(self._checkpoint)
        record = json.loads(saved.pop("record").numpy().tobytes())
        self.curve, self._spent_before = record["curve"], record["seconds"]
        if self._target is not None:
            self._target.queries += record["queries"]
        return {name: tensor.to(device) for name, tensor in saved.items()}

    def remaining(self, iterations: int) -> Iterator[int]:
        done = len(self.curve)
        bar = tqdm(total=iterations, initial=done, desc=self._label, disable=None, file=sys.stderr)
        with bar as self._bar:
            self._total, self._done_before = iterations, done
            yield from range(done, iterations)

    def advance(self, iteration: int, state: State, **headline: float) -> None:
        self.curve.append(headline)
        self._bar.update()
        shown = {name: f"{value:.3g}" for name, value in headline.items()}
        self._bar.set_postfix(shown)
        now = time.perf_counter()
        if self._bar.disable and now - self._said_at >= _SECONDS_A_LINE:
            self._say(", ".join(f"{name}={value}" for name, value in shown.items()))
            self._said_at = now
        if now - self._saved_at >= self._saving_took / _SHARE_OF_TIME_SAVING:
            self._save(state)
            self._saved_at = time.perf_counter()
            self._saving_took = self._saved_at - now

    def _say(self, headline: str) -> None:
        """One line of progress, for a log."""
        line = tqdm.format_meter(
            n=len(self.curve),
            total=self._total,
            elapsed=time.perf_counter() - self._started,
            initial=self._done_before,
            prefix=self._label,
            postfix=headline,
            bar_format=_LINE,
        )
        print(line, file=sys.stderr, flush=True)

    def forget(self) -> None:
        """Remove the checkpoint: the stage is finished."""
        self._checkpoint.unlink(missing_ok=True)

    def _save(self, state: State) -> None:
        queries = self._target.queries if self._target is not None else 0
        record = {"curve": self.curve, "seconds": self.seconds, "queries": queries}
        packed = torch.frombuffer(bytearray(json.dumps(record).encode()), dtype=torch.uint8)
        atomic.write_tensors(self._checkpoint, {**state, "record": packed})


def digest(key: dict[str, Any]) -> str:
    """A short hash of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


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
