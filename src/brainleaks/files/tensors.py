"""Tensors from files that a user hands over: never unpickled, and bounded by the file's size."""

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from brainleaks.errors import InputError
from brainleaks.files import atomic
from brainleaks.limits import ENTRIES, FILE_BYTES, check_unpacked


@dataclass(frozen=True)
class Weights:
    """A state dict from a file, by the weights' names; ``sha256`` is the file's."""

    path: Path
    tensors: dict[str, Tensor]
    sha256: str

    @property
    def origin(self) -> dict[str, str]:
        """Where the weights come from, as a run's results state it."""
        return {"file": self.path.name, "sha256": self.sha256}


def read_weights(path: Path) -> Weights:
    """Read a state dict: safetensors, or written by ``torch.save`` on whatever device.

    Raises:
        InputError: if the file holds anything else than tensors by name.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}.")
    content = read_torch(path) if is_zip(path) else atomic.read_tensors(path)
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds a {type(content).__name__}; expected a state dict, as "
            "torch.save(network.state_dict(), FILE) writes it."
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(
                f"{path} holds a {type(value).__name__} under {name!r}; expected tensors by the "
                "weights' names, as torch.save(network.state_dict(), FILE) writes them."
            )
    check_extent(path, content.values())
    with path.open("rb") as file:
        return Weights(path, content, hashlib.file_digest(file, "sha256").hexdigest())


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, as torch writes them."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote, in zip format and on whatever device: tensors, and lists of them.

    Raises:
        InputError: if it is damaged, is packed, or would have to be unpickled.
    """
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a stranger's tensors are
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors; unpickling it could run "
            "anyone's code. Save the tensors alone with torch.save, or use safetensors."
        ) from error
    except Exception as error:  # where a damaged file breaks the unpickler is anyone's guess
        raise InputError(f"{path} is not a complete file written by torch.save.") from error


def _check_archive(path: Path) -> None:
    """``torch.save`` packs nothing: what is packed can unpack to anything."""
    FILE_BYTES.check(path, path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception as error:  # of a damaged directory zipfile says many things
        raise InputError(f"{path} is not a complete file written by torch.save.") from error
    ENTRIES.check(path, len(members))
    packed = [info.filename for info in members if info.compress_type != zipfile.ZIP_STORED]
    if packed or sum(info.file_size for info in members) > path.stat().st_size:
        raise InputError(
            f"{path} holds compressed entries, which torch.save does not write; save the tensors "
            "again with torch.save, or use safetensors."
        )


def check_extent(path: Path, tensors: Iterable[Tensor]) -> None:
    """Refuse tensors that repeat few stored values: they can stand for any number.

    Raises:
        InputError: if their values take far more bytes than the file has.
    """
    dense = [tensor for tensor in tensors if is_dense(tensor)]
    total = sum(tensor.numel() * tensor.element_size() for tensor in dense)
    check_unpacked(path, path.stat().st_size, total)


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor holds all its values, one after the other."""
    return tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_meta
