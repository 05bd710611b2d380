"""The digests of a run folder: they bind its study, numbers, tensors and report to one another.

``digests.json`` lists the SHA-256 of every file but those that are added later. It shows that a
file was damaged, edited or taken from another run. It is no signature: whoever edits a file can
write its digest as well.
"""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from brainleaks.errors import InputError
from brainleaks.files import atomic
from brainleaks.limits import RESULTS_BYTES

NAME = "digests.json"
#: Made from the other files, so that ``brainleaks report`` makes them again.
_DERIVED = ("report.html", "figures")
#: What is added to a run later: an export, and an audit's twin, a run folder by itself.
_APART = ("release", "twin", "compare.html")


class _Digests(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: dict[str, str]


def seal(folder: Path) -> None:
    """Write the digests of all files of a run folder.

    Raises:
        InputError: if they cannot be written.
    """
    found = {name: _sha256(folder / name) for name in _files(folder)}
    atomic.write_json(folder / NAME, {"sha256": found})


def is_sealed(folder: Path) -> bool:
    """Whether a run folder has digests; those that older versions wrote have none."""
    return (folder / NAME).is_file()


def verify(folder: Path, *, derived: bool = True) -> None:
    """Check that a run folder holds what was written there.

    A folder without digests, as older versions wrote it, passes.

    Args:
        folder: the run folder.
        derived: whether the report and its figures are checked as well.

    Raises:
        InputError: naming the first file that was changed, added or removed.
    """
    if not is_sealed(folder):
        return
    stated = _read(folder / NAME)
    for name in sorted(stated.keys() | set(_files(folder))):
        if Path(name).parts[:1] in [(part,) for part in _DERIVED] and not derived:
            continue
        found = _sha256(folder / name) if name in stated and _is_inside(folder, name) else None
        if found != stated.get(name) or found is None:
            how = "was added or removed" if found is None else "is not what was written"
            raise InputError(
                f"{folder / name} {how} since the run ended. Run the study again; cached stages "
                f"are not recomputed. If you trust the folder as it is, remove its {NAME}."
            )


def _read(path: Path) -> dict[str, str]:
    try:
        return _Digests.model_validate_json(atomic.read_text(path, RESULTS_BYTES)).sha256
    except ValidationError as error:
        raise InputError(
            f"{path} does not list the digests of a run's files; run the study again."
        ) from error


def _files(folder: Path) -> list[str]:
    """Paths within the folder, but those of an export and of unfinished files."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if path.parts[0] not in _APART and path.name != NAME and path.suffix != ".unfinished"
    )


def _is_inside(folder: Path, name: str) -> bool:
    """Whether a listed file is there, and none of another folder."""
    path = folder / name
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
