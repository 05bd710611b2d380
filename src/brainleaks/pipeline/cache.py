"""Every stage's result, kept under the hash of all that determines it, and verified when read.

======================================  ==========================================================
``STAGE-KEY.safetensors``               tensors
``STAGE-KEY.record``                    facts, the stage, the whole key's hash, the tensors' digest
``STAGE-KEY.checkpoint``                of a stage that was cut off, to go on from
``locks/``                              held by the process that makes a stage, while it does
``damaged/``                            damaged artefacts, which have been computed again
======================================  ==========================================================
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import platformdirs
import safetensors.torch
from torch import Tensor
from tqdm import tqdm

from brainleaks.files import atomic
from brainleaks.pipeline import sealed
from brainleaks.pipeline.keys import digest, is_known
from brainleaks.pipeline.overall import Overall
from brainleaks.pipeline.progress import Recorder

RECORD, TENSORS, CHECKPOINT = ".record", ".safetensors", ".checkpoint"
LOCKS = "locks"
#: After so long a process says that it waits for another one.
_SECONDS_UNSAID = 1.0


@dataclass
class Artefact:
    """A stage's result: tensors, which are reproducible to the byte, and facts such as seconds."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)


class MissingError(Exception):
    """A stage is not in the cache, and must not be made now."""


class Cache:
    """A folder of artefacts; by default ``BRAINLEAKS_STORE``, else in the user's cache.

    Several processes may use one cache: a stage is made by one of them, and the others wait for it.
    """

    def __init__(self, root: Path | None = None) -> None:
        named = os.environ.get("BRAINLEAKS_STORE")
        self.root = root or Path(named or Path(platformdirs.user_cache_dir("brainleaks")) / "store")
        self._swept = self._only_read = False
        self.overall: Overall | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the line of progress: another process shows none."""
        return self.__dict__ | {"overall": None}

    @contextmanager
    def counted(self, expected: Counter[str]) -> Iterator[None]:
        """Within it, one line shows which of the expected stages is found or made.

        Args:
            expected: as in :class:`~brainleaks.pipeline.overall.Overall`.
        """
        with Overall(expected) as self.overall:
            try:
                yield
            finally:
                self.overall = None

    @contextmanager
    def only_read(self) -> Iterator[None]:
        """Within it, a stage that is not there raises :class:`MissingError` and is not made."""
        self._only_read = True
        try:
            yield
        finally:
            self._only_read = False

    def get_or_make(
        self, stage: str, key: dict[str, Any], make: Callable[[Recorder], Artefact]
    ) -> Artefact:
        """The artefact of ``stage`` under ``key``, made if it is not there yet or is damaged.

        ``make`` is handed a monitor that shows progress and keeps checkpoints, so that what was
        cut off goes on where it stopped. Nothing is kept under a key that does not say all that
        determines the stage (:func:`~brainleaks.pipeline.keys.is_known`).

        Raises:
            InputError: if the cache cannot be written, and whatever ``make`` raises.
        """
        if self.overall is None or self._only_read:
            return self._found_or_made(stage, key, make)
        with self.overall.stage(stage, digest(key)):
            return self._found_or_made(stage, key, make)

    def _found_or_made(
        self, stage: str, key: dict[str, Any], make: Callable[[Recorder], Artefact]
    ) -> Artefact:
        if not is_known(key) and not self._only_read:
            return self._made(Recorder(None, stage, self.overall), make)
        base = self.root / f"{stage.split(':')[0]}-{digest(key)}"
        try:
            return read_artefact(base, key)
        except sealed.DamagedError as error:
            if self._only_read:
                raise MissingError(stage) from error
            # or it is not there; another process may be about to write it
        with self._alone(base.name, stage):
            if (found := self._heal(base, key)) is not None:
                return found
            recorder = Recorder(with_ending(base, CHECKPOINT), stage, self.overall)
            artefact = self._made(recorder, make)
            write_artefact(base, stage, key, artefact)
            recorder.forget()
            return artefact

    def _made(self, recorder: Recorder, make: Callable[[Recorder], Artefact]) -> Artefact:
        artefact = make(recorder)
        artefact.facts |= {"seconds": round(recorder.seconds, 3), "curve": recorder.curve}
        if self.overall is not None:
            self.overall.made()
        return artefact

    def _heal(self, base: Path, key: dict[str, Any]) -> Artefact | None:
        """The artefact if it is there and whole; one that is damaged is set aside."""
        self._sweep()
        files = [with_ending(base, ending) for ending in (RECORD, TENSORS)]
        if not any(path.exists() for path in files):
            return None
        try:
            return read_artefact(base, key)
        except sealed.DamagedError as error:
            sealed.set_aside(files[0], f"{error}; it is set aside and made again")
            if files[1].exists():
                sealed.set_aside(files[1], f"{files[1]} goes with it")
            return None

    def _sweep(self) -> None:
        if not self._swept:
            atomic.remove_abandoned(self.root)
            self._swept = True

    @contextmanager
    def _alone(self, name: str, stage: str) -> Iterator[None]:
        """Hold a stage's lock, which the system takes back from a process that dies."""
        atomic.make_folder(self.root / LOCKS)
        lock = filelock.FileLock(self.root / LOCKS / f"{name}.lock")
        try:
            lock.acquire(timeout=_SECONDS_UNSAID)
        except filelock.Timeout:
            tqdm.write(f"{stage}: another process is making it; waiting.", file=sys.stderr)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def with_ending(base: Path, ending: str) -> Path:
    """One of an artefact's files."""
    return base.with_name(base.name + ending)


def write_artefact(base: Path, stage: str, key: dict[str, Any], artefact: Artefact) -> None:
    """Write an artefact's tensors, and then its record, which makes it whole."""
    tensors = atomic.packed(artefact.tensors)
    record = {
        "stage": stage,
        "key": digest(key, whole=True),
        "tensors": sealed.sha256(tensors),
        "facts": artefact.facts,
    }
    atomic.write_bytes(with_ending(base, TENSORS), tensors)
    text = json.dumps(record, indent=2, allow_nan=False)
    sealed.write(with_ending(base, RECORD), text.encode())


def read_record(path: Path) -> dict[str, Any]:
    """An artefact's record.

    Raises:
        DamagedError: if it is not there, or not as it was written.
    """
    record: dict[str, Any] = json.loads(sealed.read(path))
    return record


def read_artefact(base: Path, key: dict[str, Any] | None = None, *, mark: bool = True) -> Artefact:
    """Read an artefact.

    Args:
        base: its files' path without their endings.
        key: what it must have been made of, where that is known.
        mark: whether it is marked as used now.

    Raises:
        DamagedError: if it is not there, not as it was written, or another one.
    """
    record = read_record(with_ending(base, RECORD))
    if key is not None and record["key"] != digest(key, whole=True):
        raise sealed.DamagedError(f"{with_ending(base, RECORD)} is the record of another stage")
    path = with_ending(base, TENSORS)
    try:
        content = path.read_bytes()
        if mark:
            os.utime(with_ending(base, RECORD))
    except OSError as error:
        raise sealed.DamagedError(f"{path} cannot be read ({error.strerror or error})") from error
    if sealed.sha256(content) != record["tensors"]:
        raise sealed.DamagedError(f"{path} is damaged: it is not what was written")
    return Artefact(safetensors.torch.load(content), record["facts"])
