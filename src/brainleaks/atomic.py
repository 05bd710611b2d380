"""Files that are there whole or not at all, and tensors without pickle."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from brainleaks.errors import InputError, first_line
from brainleaks.limits import FILE_BYTES, RESULTS_BYTES, TEXT_BYTES, Limit


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there.

    Raises:
        InputError: if the folder cannot be written or the disk is full; nothing is left behind.
    """
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        scratch = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.chmod(0o644)
        scratch.replace(path)
    except OSError as error:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path}: {error.strerror or error}. Free some space or choose "
            "another folder."
        ) from error


def write_text(path: Path, content: str) -> None:
    """As :func:`write_bytes`, in UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """As :func:`write_bytes`, indented."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """As :func:`write_bytes`, in the safetensors format; equal tensors give equal bytes."""
    portable = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, safetensors.torch.save(portable))


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
            f"{path} is not a whole safetensors file ({error}); make it again."
        ) from error
    except Exception as error:  # a header that names what its reader does not know
        raise InputError(
            f"{path} is not a safetensors file that can be read ({type(error).__name__}: "
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
