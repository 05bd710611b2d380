"""What lies in a cache: listing it, verifying it, and making room."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from brainleaks.files import atomic
from brainleaks.pipeline import sealed
from brainleaks.pipeline.cache import CHECKPOINT, LOCKS, RECORD, TENSORS, read_artefact, with_ending

_SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Entry:
    """An artefact in a cache.

    Args:
        base: its files' path without their endings.
        size: bytes of its files.
        used: when it was last used, in seconds since 1970.
    """

    base: Path
    size: int
    used: float

    @property
    def files(self) -> list[Path]:
        """Those that are there."""
        paths = [with_ending(self.base, ending) for ending in (RECORD, TENSORS, CHECKPOINT)]
        return [path for path in paths if path.exists()]


def entries(root: Path) -> list[Entry]:
    """The artefacts in a cache, the one that was used last at the end."""
    bases = {
        path.with_name(path.name.removesuffix(ending))
        for ending in (RECORD, TENSORS, CHECKPOINT)
        for path in root.glob(f"*{ending}")
        if not path.name.startswith(".")
    }
    return sorted((_entry(base) for base in bases), key=lambda entry: (entry.used, entry.base))


def _entry(base: Path) -> Entry:
    files = [path.stat() for path in Entry(base, 0, 0).files]
    return Entry(base, sum(f.st_size for f in files), max(f.st_mtime for f in files))


def verify(root: Path, *, set_aside: bool = False) -> Iterator[tuple[Entry, bool]]:
    """Read every artefact and checkpoint; whether each is whole.

    Args:
        root: of the cache.
        set_aside: whether what is damaged is moved to ``damaged/``, to be made again when it is
            needed.
    """
    for entry in entries(root):
        damage = _damage(entry)
        if damage and set_aside:
            for path in entry.files:
                sealed.set_aside(path, f"{damage}; {path.name} is set aside")
        yield entry, damage is None


def _damage(entry: Entry) -> str | None:
    checkpoint = with_ending(entry.base, CHECKPOINT)
    try:
        if checkpoint.exists():
            sealed.read(checkpoint)
        if entry.files != [checkpoint]:
            read_artefact(entry.base, mark=False)
    except sealed.DamagedError as error:
        return str(error)
    return None


def prune(root: Path, *, older_than_days: float | None, most_bytes: int | None) -> list[Path]:
    """Remove the least recently used artefacts, and files that nobody needs.

    These are the leftovers of dead processes, damaged files that were set aside, and locks that
    nobody holds.

    Args:
        root: of the cache.
        older_than_days: artefacts that were not used for so long are removed.
        most_bytes: more are removed until the rest takes at most so many bytes.

    Returns:
        The files and folders that were removed.
    """
    removed = atomic.remove_abandoned(root)
    there = entries(root)
    total = sum(entry.size for entry in there)
    oldest = time.time() - (older_than_days or 0) * _SECONDS_A_DAY
    for entry in there:
        too_old = older_than_days is not None and entry.used < oldest
        too_much = most_bytes is not None and total > most_bytes
        if (too_old or too_much) and not _is_held(root, entry.base.name):
            removed += entry.files
            for path in entry.files:
                path.unlink(missing_ok=True)
            total -= entry.size
    if (root / sealed.DAMAGED).is_dir():
        shutil.rmtree(root / sealed.DAMAGED)
        removed.append(root / sealed.DAMAGED)
    return removed


def _is_held(root: Path, name: str) -> bool:
    """Whether a process is making an artefact."""
    lock = filelock.FileLock(root / LOCKS / f"{name}.lock")
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock.acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True
