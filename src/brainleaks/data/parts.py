"""Parts of a data set: some of its samples or classes, and who may learn from which."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from brainleaks.data.dataset import Dataset, Samples, SpikeTrains

#: With so many held-out samples of each class, half of them are enough to train judges on.
_ENOUGH_TO_SHARE = 100


class Parts(NamedTuple):
    """What each side of an audit sees.

    ``members`` are what the target was trained on, ``held_out`` are of the same classes and were
    seen by nobody in training; judges learn from ``learn``. ``disjoint`` says whether that is data
    that the target never saw.
    """

    learn: Samples
    members: Samples
    held_out: Samples
    disjoint: bool


def parts(dataset: Dataset) -> Parts:
    """Divide a data set between the target, its judges and the comparison.

    Where the test part has at least 100 samples of every class, judges learn from every second of
    them, and the others are held out; else judges learn from the training part, as the target did.
    """
    train, test = dataset.train, dataset.test
    counts = torch.bincount(test.labels, minlength=len(dataset.class_names))
    if counts.min() < _ENOUGH_TO_SHARE:
        return Parts(train, train, test, disjoint=False)
    halves = _every_second(test.labels)
    return Parts(select(test, halves), train, select(test, ~halves), disjoint=True)


def images(samples: Samples) -> Tensor:
    """Samples as images, ``(N, C, H, W)``: recordings as their firing rates."""
    inputs = samples.inputs
    return inputs.averages() if isinstance(inputs, SpikeTrains) else inputs


def select(samples: Samples, which: Tensor) -> Samples:
    """The samples that a mask or indices select, in order."""
    indices = which.nonzero().squeeze(1) if which.dtype == torch.bool else which
    inputs = samples.inputs
    chosen = _select(inputs, indices) if isinstance(inputs, SpikeTrains) else inputs[indices]
    users = None if samples.users is None else samples.users[indices]
    return Samples(chosen, samples.labels[indices], users)


def joined(first: Samples, second: Samples) -> Samples:
    """The samples of two parts, in order."""
    labels = torch.cat([first.labels, second.labels])
    known = first.users is not None and second.users is not None
    users = torch.cat([first.users, second.users]) if known else None  # type: ignore[list-item]
    if isinstance(first.inputs, SpikeTrains) and isinstance(second.inputs, SpikeTrains):
        return Samples(first.inputs.followed_by(second.inputs), labels, users)
    if isinstance(first.inputs, SpikeTrains) or isinstance(second.inputs, SpikeTrains):
        raise TypeError("one part has recordings, the other images.")
    return Samples(torch.cat([first.inputs, second.inputs]), labels, users)


def of_classes(dataset: Dataset, classes: Sequence[int]) -> Dataset:
    """The samples of some classes only, renumbered in the order given."""
    number = torch.full((len(dataset.class_names),), -1)
    number[list(classes)] = torch.arange(len(classes))

    def kept(samples: Samples) -> Samples:
        some = select(samples, number[samples.labels] >= 0)
        return some._replace(labels=number[some.labels])

    names = tuple(dataset.class_names[c] for c in classes)
    return replace(dataset, train=kept(dataset.train), test=kept(dataset.test), class_names=names)


def set_apart(dataset: Dataset, classes: Sequence[int]) -> Dataset:
    """The data set without some classes, whose images, of both parts, are its ``others``."""
    rest = [c for c in range(len(dataset.class_names)) if c not in classes]
    apart = of_classes(dataset, classes)
    others = torch.cat([images(apart.train), images(apart.test)])
    return replace(of_classes(dataset, rest), others=others)


def with_shuffled_labels(dataset: Dataset, generator: torch.Generator) -> Dataset:
    """The same samples, those of the training part under one another's labels."""
    labels = dataset.train.labels
    order = torch.randperm(len(labels), generator=generator)
    return replace(dataset, train=dataset.train._replace(labels=labels[order]))


def _every_second(labels: Tensor) -> Tensor:
    """A mask of every second sample of each class."""
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for c in labels.unique():
        mask[(labels == c).nonzero().squeeze(1)[::2]] = True
    return mask


def _select(trains: SpikeTrains, indices: Tensor) -> SpikeTrains:
    spans = [(int(trains.recordings[i]), int(trains.recordings[i + 1])) for i in indices.tolist()]
    bounds = [trains.frames[first : last + 1] for first, last in spans]
    pixels = [trains.pixels[b[0] : b[-1]] for b in bounds]
    counts = [np.diff(b) for b in bounds]
    nothing = [np.zeros(0, np.int64)]
    return SpikeTrains(
        np.concatenate([trains.pixels[:0], *pixels]),
        np.concatenate([[0], np.cumsum(np.concatenate(nothing + counts))]),
        np.concatenate([[0], np.cumsum([last - first for first, last in spans], dtype=np.int64)]),
        trains.shape,
    )
