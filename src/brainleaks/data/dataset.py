"""What a data set is, once it is read."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brainleaks.data.cochlea import Cochlea
from brainleaks.signals import Signal


@dataclass(frozen=True)
class SpikeTrains:
    """Recordings of various lengths as binary frames, kept as the list of pixels that fire.

    Args:
        pixels: index of each firing pixel in its flattened frame, frame after frame, recording
            after recording; unsigned integers.
        frames: where each frame begins in ``pixels``, and their end; int64.
        recordings: where each recording begins in ``frames``, and their end; int64.
        shape: ``(C, H, W)`` of a frame.
    """

    pixels: NDArray[Any]
    frames: NDArray[np.int64]
    recordings: NDArray[np.int64]
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.recordings) - 1

    def __getitem__(self, which: Tensor) -> Tensor:
        """The recordings numbered ``which``, side by side: float32 ``(T, B, C, H, W)``.

        ``T`` is the length of the longest; the others are silent after their end.
        """
        spans = [self._span(int(i)) for i in which]
        longest = max(last - first for first, last in spans)
        dense = np.zeros((longest, len(spans), int(np.prod(self.shape))), dtype=np.float32)
        for b, (first, last) in enumerate(spans):
            bounds = self.frames[first : last + 1]
            steps = np.repeat(np.arange(last - first), np.diff(bounds))
            dense[steps, b, self.pixels[bounds[0] : bounds[-1]]] = 1
        return torch.from_numpy(dense).view(*dense.shape[:2], *self.shape)

    def first(self, count: int) -> "SpikeTrains":
        """The first ``count`` recordings."""
        recordings = self.recordings[: count + 1]
        frames = self.frames[: recordings[-1] + 1]
        return SpikeTrains(self.pixels[: frames[-1]], frames, recordings, self.shape)

    def followed_by(self, others: "SpikeTrains") -> "SpikeTrains":
        """These recordings, and after them the others."""
        return SpikeTrains(
            np.concatenate([self.pixels, others.pixels]),
            np.concatenate([self.frames, self.frames[-1] + others.frames[1:]]),
            np.concatenate([self.recordings, self.recordings[-1] + others.recordings[1:]]),
            self.shape,
        )

    def averages(self) -> Tensor:
        """Share of its frames in which each pixel fires, over each recording's largest share.

        Float32 ``(N, C, H, W)`` in [0, 1].
        """
        counts = np.zeros((len(self), int(np.prod(self.shape))), dtype=np.float32)
        for i, row in enumerate(counts):
            first, last = self._span(i)
            np.add.at(row, self.pixels[self.frames[first] : self.frames[last]], 1)
        peaks = counts.max(1, keepdims=True)
        return torch.from_numpy(counts / np.maximum(peaks, 1)).view(len(self), *self.shape)

    def _span(self, recording: int) -> tuple[int, int]:
        """Its first frame, and the one after its last."""
        return int(self.recordings[recording]), int(self.recordings[recording + 1])


class Samples(NamedTuple):
    """Inputs, their classes, and, where that is known, whose they are.

    Args:
        inputs: images ``(N, C, H, W)``, float32 in [0, 1], or recordings.
        labels: the class of each, int64 ``(N,)``.
        users: the person that each comes from, int64 ``(N,)``, numbered from 0; optional.
    """

    inputs: Tensor | SpikeTrains
    labels: Tensor
    users: Tensor | None = None

    def first(self, count: int) -> "Samples":
        """The first ``count`` samples."""
        inputs = self.inputs
        kept = inputs.first(count) if isinstance(inputs, SpikeTrains) else inputs[:count]
        users = None if self.users is None else self.users[:count]
        return Samples(kept, self.labels[:count], users)


@dataclass(frozen=True)
class Dataset:
    """A data set in two parts, with the names of its classes.

    ``others`` are images of classes that were set apart, for a prior to learn from. ``streamed``
    images are recordings of channels: their rows are time steps; ``sound`` made them of sound.
    """

    name: str
    train: Samples
    test: Samples
    class_names: tuple[str, ...]
    others: Tensor | None = None
    streamed: bool = False
    sound: Cochlea | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(C, H, W)``."""
        inputs = self.train.inputs
        return inputs.shape if isinstance(inputs, SpikeTrains) else tuple(inputs.shape[1:])

    @property
    def signal(self) -> Signal:
        """What its inputs are."""
        if isinstance(self.train.inputs, SpikeTrains):
            return "frames"
        return "stream" if self.streamed else "image"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of every value and label, in order."""
        digest = hashlib.sha256()
        for samples in (self.train, self.test):
            for array in (*_arrays(samples.inputs), samples.labels.numpy()):
                digest.update(repr(array.shape).encode())
                digest.update(np.ascontiguousarray(array).data)
        if self.streamed:
            digest.update(b"streamed")
        if self.others is not None:
            digest.update(np.ascontiguousarray(self.others.numpy()).data)
        return digest.hexdigest()


def _arrays(inputs: Tensor | SpikeTrains) -> tuple[NDArray[Any], ...]:
    if isinstance(inputs, SpikeTrains):
        return inputs.pixels, inputs.frames, inputs.recordings
    return (inputs.numpy(),)
