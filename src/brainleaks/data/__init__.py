"""Data sets, one file each, and the registry of their names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from brainleaks.data import (
    att_faces,
    cifar10,
    cifar10_25k,
    digits,
    digits_events,
    dvsgesture,
    dvsgesture_clips,
    fsdd,
    fsdd_speakers,
    mnist,
    nmnist,
    nmnist_1k,
)
from brainleaks.data.dataset import Dataset, Samples, SpikeTrains
from brainleaks.data.events import Recording

DatasetName = Literal[
    "digits",
    "att-faces",
    "mnist",
    "cifar10",
    "cifar10-25k",
    "fsdd",
    "fsdd-speakers",
    "digits-events",
    "nmnist",
    "nmnist-1k",
    "dvsgesture",
    "dvsgesture-clips",
]


class Source(Protocol):
    """What each data set's file offers."""

    @property
    def SIZE(self) -> tuple[int, int] | None:  # noqa: N802 (a module's constant)
        """How many training and test samples the whole of it has, where that is known."""

    def present(self, folder: Path) -> bool:
        """Whether the data lies below ``folder``."""

    def fetch(self, folder: Path) -> None:
        """Download it there, unless it is present."""


class ImageSource(Source, Protocol):
    """A data set of images."""

    def load(self, folder: Path) -> Dataset:
        """Read it, downloading it first where it is absent."""


class EventSource(Source, Protocol):
    """A data set of event recordings."""

    @property
    def SENSOR(self) -> tuple[int, int]:  # noqa: N802
        """Its ``(height, width)``."""

    @property
    def CLASS_NAMES(self) -> tuple[str, ...]:  # noqa: N802
        """In the order of their labels."""

    def identity(self, folder: Path) -> str:
        """What changes when the recordings do."""

    def recordings(self, folder: Path) -> Iterator[Recording]:
        """Read them one by one, downloading them first where they are absent."""


IMAGES: dict[str, ImageSource] = {
    "digits": digits,
    "att-faces": att_faces,
    "mnist": mnist,
    "cifar10": cifar10,
    "cifar10-25k": cifar10_25k,
    "fsdd": fsdd,
    "fsdd-speakers": fsdd_speakers,
}
EVENTS: dict[str, EventSource] = {
    "digits-events": digits_events,
    "nmnist": nmnist,
    "nmnist-1k": nmnist_1k,
    "dvsgesture": dvsgesture,
    "dvsgesture-clips": dvsgesture_clips,
}
DATASETS: dict[str, Source] = {**IMAGES, **EVENTS}

__all__ = [
    "DATASETS",
    "EVENTS",
    "IMAGES",
    "Dataset",
    "DatasetName",
    "EventSource",
    "ImageSource",
    "Samples",
    "Source",
    "SpikeTrains",
]
