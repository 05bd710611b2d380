"""A study's data set, ready for its networks."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from brainleaks.data import EVENTS, IMAGES, Dataset, EventSource, Samples, SpikeTrains
from brainleaks.data import events as event_frames
from brainleaks.data.codes import StreamCode
from brainleaks.data.own import EventFolder, OwnData, load_own
from brainleaks.data.parts import set_apart
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.pipeline.cache import Artefact, Cache
from brainleaks.pipeline.versions import VERSIONS
from brainleaks.studies.config import Study

_FIELDS = ("pixels", "frames", "recordings")


def load_dataset(study: Study, folder: Path, cache: Cache) -> Dataset:
    """Read a study's data from ``folder``, downloading it where it is absent.

    Events are cut into frames once and then kept in the cache; a spiking study sees the frames, an
    ordinary one their average over time.

    Raises:
        InputError: if the data cannot be had or is damaged, or a subset is larger than it or lacks
            a class.
    """
    if isinstance(study.dataset, OwnData):
        dataset = _load_own(study, study.dataset, folder, cache)
    elif study.dataset in IMAGES:
        dataset = IMAGES[study.dataset].load(folder)
    else:
        dataset = _load_frames(study, EVENTS[study.dataset], folder, cache)
    return as_taken(study, dataset)


def as_taken(study: Study, dataset: Dataset) -> Dataset:
    """As much of a data set as a study takes, and as its networks take it.

    Raises:
        InputError: as :func:`load_dataset`.
    """
    if study.subset is not None:
        train = _first("train", dataset.train, study.subset.train)
        test = _first("test", dataset.test, study.subset.test)
        dataset = replace(dataset, train=train, test=test)
    _check_classes(dataset)
    if isinstance(study.encoding, StreamCode):
        dataset = replace(dataset, streamed=True)
    if not study.spiking:
        dataset = replace(dataset, train=_averaged(dataset.train), test=_averaged(dataset.test))
    return dataset if study.prior is None else _without(dataset, study.prior.classes)


def _without(dataset: Dataset, classes: tuple[int, ...]) -> Dataset:
    """The data set without the classes that a prior learns from."""
    there = len(dataset.class_names)
    if max(classes) >= there or there - len(set(classes)) < 2:
        raise InputError(
            f"prior.classes: found {len(set(classes))} classes, up to number {max(classes)}; "
            f"{dataset.name} has {there}, numbered from 0, and the target needs at least two of "
            "them."
        )
    rest = set_apart(dataset, classes)
    if not len(rest.test.labels):
        raise InputError(
            f"prior.classes: every test sample of {dataset.name} belongs to one of these classes; "
            "use more samples (subset.test) or other classes."
        )
    return rest


def _first(part: str, samples: Samples, count: int) -> Samples:
    if count > len(samples.labels):
        raise InputError(
            f"subset.{part}: found {count}, but there are only {len(samples.labels)} {part} "
            "samples."
        )
    return samples.first(count)


def _check_classes(dataset: Dataset) -> None:
    """Every class must be trained on: each is attacked, and shown beside a sample of its own."""
    for label, name in enumerate(dataset.class_names):
        if not (dataset.train.labels == label).any():
            raise InputError(
                f"{dataset.name}: none of the {len(dataset.train.labels)} training samples "
                f"belongs to class {name}; use more samples (subset.train) or the whole data set."
            )


def one_a_class(dataset: Dataset) -> Tensor:
    """The first training sample of each class: ``(C, channels, H, W)``, or with time first."""
    inputs, labels, _ = dataset.train
    first = [int((labels == c).nonzero()[0]) for c in range(len(dataset.class_names))]
    return inputs[torch.tensor(first)]


def _load_own(study: Study, own: OwnData, folder: Path, cache: Cache) -> Dataset:
    if study.frames is not None:
        return _load_frames(study, EventFolder(own), folder, cache)
    dataset = load_own(own)
    if isinstance(dataset.train.inputs, SpikeTrains) != own.framed:
        found = "images" if own.framed else "recordings in frames"
        raise InputError(f"dataset.framed: {own.path} holds {found}; set it to {not own.framed}.")
    return dataset


def _load_frames(study: Study, source: EventSource, folder: Path, cache: Cache) -> Dataset:
    name, framing = study.data_name, study.frames
    if framing is None:
        raise ValueError("a study of events has frames; its validation sees to that.")
    source.fetch(folder)
    key = {
        "dataset": name,
        "files": source.identity(folder),
        "frames": asdict(framing),
        "version": VERSIONS["frames"],
    }

    def make(monitor: Monitor) -> Artefact:
        files = source.recordings(folder)
        recordings = tqdm(files, desc=name, unit=" recordings", disable=None, file=sys.stderr)
        return Artefact(
            pack(
                event_frames.framed(
                    name, recordings, framing, sensor=source.SENSOR, class_names=source.CLASS_NAMES
                )
            )
        )

    tensors = cache.get_or_make(f"frames:{name}", key, make).tensors
    shape = (framing.channels, *source.SENSOR)
    train, test = (unpack(tensors, part, shape) for part in ("train", "test"))
    return Dataset(name, train, test, source.CLASS_NAMES)


def pack(dataset: Dataset) -> dict[str, Tensor]:
    """A framed data set as the cache keeps it."""
    tensors = {}
    for part, (inputs, labels, _) in (("train", dataset.train), ("test", dataset.test)):
        if isinstance(inputs, SpikeTrains):
            for field in _FIELDS:
                tensors[f"{part}.{field}"] = torch.from_numpy(getattr(inputs, field))
        tensors[f"{part}.labels"] = labels
    return tensors


def unpack(tensors: dict[str, Tensor], part: str, shape: tuple[int, int, int]) -> Samples:
    """One part of a framed data set, frames ``(C, H, W)``, from how the cache keeps it."""
    arrays = {field: tensors[f"{part}.{field}"].numpy() for field in _FIELDS}
    return Samples(SpikeTrains(**arrays, shape=shape), tensors[f"{part}.labels"])


def _averaged(samples: Samples) -> Samples:
    inputs = samples.inputs
    return (
        Samples(inputs.averages(), samples.labels) if isinstance(inputs, SpikeTrains) else samples
    )
