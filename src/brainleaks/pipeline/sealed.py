"""Files that say their own digest, so that a changed byte is found when they are read."""

import hashlib
import sys
from pathlib import Path

from brainleaks.errors import InputError, printable
from brainleaks.files import atomic

_DIGEST_BYTES = 64
#: Where damaged files of a folder are set aside; a newer one takes an older one's place.
DAMAGED = "damaged"


class DamagedError(Exception):
    """A stored file is not what was written: the message says which, and how."""


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: bytes) -> None:
    """Write a line with the digest of ``content``, and ``content``.

    Raises:
        InputError: as :func:`brainleaks.files.atomic.write_bytes`.
    """
    atomic.write_bytes(path, sha256(content).encode() + b"\n" + content)


def read(path: Path) -> bytes:
    """What :func:`write` wrote.

    Raises:
        DamagedError: if the file cannot be read, or is another than was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror or error})") from error
    said, rest = content[: _DIGEST_BYTES + 1], content[_DIGEST_BYTES + 1 :]
    if said != sha256(rest).encode() + b"\n":
        raise DamagedError(f"{path} is damaged: it is not what was written")
    return rest


def set_aside(path: Path, why: str) -> None:
    """Move a damaged file out of the way, and say so on stderr.

    Args:
        path: of the file; nothing happens if it is not there.
        why: what was found, and what follows.

    Raises:
        InputError: if it cannot be moved.
    """
    print(printable(f"brainleaks: {why}."), file=sys.stderr, flush=True)
    place = path.parent / DAMAGED / path.name
    try:
        if path.exists():
            place.parent.mkdir(exist_ok=True)
            path.replace(place)
    except OSError as error:
        raise InputError(
            f"cannot move the damaged file {path} to {place}: {error.strerror or error}; remove it."
        ) from error
