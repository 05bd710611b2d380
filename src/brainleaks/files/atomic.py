"""Atomic files, and tensors without pickle."""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from brainleaks.errors import InputError, first_line
from brainleaks.limits import FILE_BYTES, RESULTS_BYTES, TEXT_BYTES, Limit


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, by way of a temporary file.

    Raises:
        InputError: if the folder cannot be written or the disk is full; nothing is left behind.
    """
    scratch = scratch_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}. Free some space or choose "
            "another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # moved to its place, or never there
            scratch.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        InputError: if that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder {path}: {error.strerror or error}.") from error


def scratch_path(path: Path) -> Path:
    """A hidden temporary path beside ``path`` that names the process."""
    mark = f"{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return path.with_name(f".{path.name}.{mark}.unfinished")


def remove_abandoned(folder: Path) -> list[Path]:
    """Remove the scratch files and folders that processes of this machine left when they died.

    Returns:
        What was removed.
    """
    removed = []
    for path in sorted(folder.glob(".*.unfinished")) if folder.is_dir() else []:
        owner = _SCRATCH.match(path.name)
        if owner and owner["host"] == _host() and not _is_running(int(owner["process"]), path):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            removed.append(path)
    return removed


_SCRATCH = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.unfinished$")
_SECONDS_A_DAY = 86_400


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_running(process: int, path: Path) -> bool:
    if os.name == "nt":  # where asking for a process may end it
        return time.time() - path.stat().st_mtime < _SECONDS_A_DAY
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def write_text(path: Path, content: str) -> None:
    """As :func:`write_bytes`, in UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """As :func:`write_bytes`, indented."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """As :func:`write_bytes`, in the safetensors format; equal tensors give equal bytes."""
    write_bytes(path, packed(tensors))


def packed(tensors: dict[str, Tensor]) -> bytes:
    """Tensors in the safetensors format, wherever they lie; equal tensors give equal bytes."""
    portable = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content: bytes = safetensors.torch.save(portable)
    return content


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        InputError: if it is not there, or damaged.
    """
    try:
        FILE_BYTES.check(path, path.stat().st_size)
        return safetensors.torch.load(path.read_bytes())
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    except SafetensorError as error:
        raise InputError(
            f"{path} is not a complete safetensors file ({error}); make it again."
        ) from error
    except Exception as error:  # a header that names what its reader does not know
        raise InputError(
            f"{path} is not a readable safetensors file ({type(error).__name__}: "
            f"{first_line(error)}); make it again."
        ) from error


def read_text(path: Path, limit: Limit = TEXT_BYTES) -> str:
    """Read a text file in UTF-8.

    Raises:
        InputError: if it is not there, no text, or larger than the limit.
    """
    try:
        limit.check(path, path.stat().st_size)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8.") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: if it is not there, or damaged.
    """
    text = read_text(path, RESULTS_BYTES)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({first_line(error)}).") from error
