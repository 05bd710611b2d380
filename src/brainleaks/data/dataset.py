"""What a data set is, once it is read."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from torch import Tensor


class Samples(NamedTuple):
    """``images`` ``(N, C, H, W)``, float32 in [0, 1]; ``labels`` ``(N,)``, int64."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Dataset:
    """A data set in two parts, with the names of its classes."""

    name: str
    train: Samples
    test: Samples
    class_names: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(C, H, W)``."""
        return tuple(self.train.images.shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of every pixel and label, in order."""
        digest = hashlib.sha256()
        for tensor in (*self.train, *self.test):
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()
