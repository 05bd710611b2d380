"""Tensors from files that a user hands over: never unpickled, and bounded by the file's size."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from brainleaks.errors import InputError
from brainleaks.files import atomic
from brainleaks.files.checkpoints import is_torch, read_torch, state_dict_in
from brainleaks.limits import check_unpacked


@dataclass(frozen=True)
class Weights:
    """A state dict from a file, by the weights' names; ``sha256`` is the file's.

    ``found`` says where in the file it was, if it was not all of it.
    """

    path: Path
    tensors: dict[str, Tensor]
    sha256: str
    found: str | None = None

    @property
    def origin(self) -> dict[str, str]:
        """Where the weights come from, as a run's results state it."""
        return {"file": self.path.name, "sha256": self.sha256}


def read_weights(path: Path) -> Weights:
    """Read the state dict in a file: safetensors, or written by ``torch.save`` on whatever device.

    A checkpoint may hold other things beside it, such as an optimiser's state.

    Raises:
        InputError: if the file holds no tensors by name, or several sets of them.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}.")
    content = read_torch(path) if is_torch(path) else atomic.read_tensors(path)
    tensors, found = state_dict_in(path, content)
    check_extent(path, tensors.values())
    with path.open("rb") as file:
        return Weights(path, tensors, hashlib.file_digest(file, "sha256").hexdigest(), found)


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
