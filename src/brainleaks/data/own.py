"""A user's own data: a folder with one sub-folder a class, an ``.npz``, or a torch data set."""

import sys
from collections.abc import Iterator
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from brainleaks.data import streams as stream_files
from brainleaks.data.archives import identity_of
from brainleaks.data.arrays import Part, as_dataset, read_npz
from brainleaks.data.class_folders import File, Listing, list_classes
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.event_arrays import TimeUnit
from brainleaks.data.event_files import TEXT_FILES, read_events, read_recording
from brainleaks.data.events import Recording
from brainleaks.data.handed_over import read_parts
from brainleaks.data.image_files import read_images
from brainleaks.data.sound_folders import load_sounds
from brainleaks.data.time_repair import Repair
from brainleaks.errors import InputError, option
from brainleaks.factory import is_factory, make
from brainleaks.limits import SENSOR_PIXELS

#: Time steps of recordings of channels, where none are said.
DEFAULT_BINS = 100
_Side = Annotated[int, Ge(1), Le(1 << 15)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class OwnData:
    """Where a user's own data lies, and how it is read.

    Args:
        path: a folder with one sub-folder a class, or with such folders in ``train`` and ``test``;
            an ``.npz``; or ``module:function``, which returns a torch data set, or a pair of them
            to train and to test.
        holdout: share of each class that is held out, where there is no test part.
        classes: their names in the order of the labels; by default that of the alphabet.
        channels: ``"grey"`` or ``"rgb"`` images; by default what they are, and colour if any is.
        sensor: ``(height, width)`` that events lie on; by default as large as they need.
        time_unit: of the times in event arrays and text; by default that of
            :func:`~brainleaks.data.event_files.read_recording`.
        repair_times: whether events whose time runs backwards are sorted or dropped, as
            :func:`~brainleaks.data.time_repair.repair_times` does, instead of refused.
        bins: time steps that recordings of channels, as events, are cut into, or of 10 ms of sound.
        framed: whether its arrays are recordings in frames, ``(N, T, C, H, W)``, instead of images.
    """

    path: str
    holdout: Annotated[float, Gt(0), Lt(1)] | None = None
    classes: tuple[str, ...] | None = None
    channels: Literal["grey", "rgb"] | None = None
    sensor: tuple[_Side, _Side] | None = None
    time_unit: TimeUnit | None = None
    framed: bool = False
    bins: Annotated[int, Ge(1)] | None = None
    repair_times: bool = field(default=False, repr=False)

    @property
    def name(self) -> str:
        """What results call the data."""
        return self.path if is_factory(self.path) else Path(self.path).resolve().stem

    @property
    def in_folders(self) -> bool:
        """Whether each sample is a file; else they are arrays."""
        return Path(self.path).is_dir() and self.streams is None

    @property
    def sounds(self) -> bool:
        """Whether each sample is a file of sound."""
        return self.in_folders and self.listing().kind == "sound"

    @property
    def streams(self) -> stream_files.Files | None:
        """The files with recordings of channels as lists of events, if it is such data."""
        return None if is_factory(self.path) else stream_files.find(Path(self.path))

    def listing(self) -> Listing:
        """The files of a folder.

        Raises:
            InputError: as :func:`brainleaks.data.class_folders.list_classes`.
        """
        return list_classes(Path(self.path), self.holdout, self.classes)


class EventFolder:
    """Event recordings in class folders: what :class:`brainleaks.data.EventSource` asks for."""

    SIZE = None

    def __init__(self, own: OwnData) -> None:
        self.own = own

    @cached_property
    def _listing(self) -> Listing:
        return self.own.listing()

    @property
    def SENSOR(self) -> tuple[int, int]:  # noqa: N802 (as the data sets' modules have it)
        """Its ``(height, width)``; the audit has resolved it."""
        if self.own.sensor is None:
            raise InputError(
                "dataset.sensor: missing; event data require the height and the width."
            )
        SENSOR_PIXELS.check("dataset.sensor", self.own.sensor[0] * self.own.sensor[1])
        return self.own.sensor

    @property
    def CLASS_NAMES(self) -> tuple[str, ...]:  # noqa: N802
        """In the order of their labels."""
        return self._listing.class_names

    def present(self, folder: Path) -> bool:
        """Whether the folder is there; it has a place of its own."""
        return self.own.in_folders

    def fetch(self, folder: Path) -> None:
        """Nothing to download."""

    def identity(self, folder: Path) -> str:
        """What changes when the recordings do, or who is held out."""
        # as it was named before there were units by default, repairs and text: caches stay valid
        own = replace(self.own, time_unit=self.own.time_unit or "us")
        text = any(file.path.suffix.lower() in TEXT_FILES for file in self._listing.files)
        more = f" times in {self.own.time_unit}" * text + " repaired" * own.repair_times
        return f"{own} {identity_of([Path(own.path)])}{more}"

    def recordings(self, folder: Path) -> Iterator[Recording]:
        """Read them one by one.

        Raises:
            InputError: naming a recording that is malformed or off the sensor.
        """
        root = Path(self.own.path)
        for part, label, path in self._listing.files:
            repair = self.own.repair_times
            events = read_events(path, self.SENSOR, self.own.time_unit, repair=repair)
            yield Recording(part, path.relative_to(root).as_posix(), label, events)


class Survey(NamedTuple):
    """What event recordings turn out to be.

    ``sensor`` is what their files say, or else as large as their events need, ``polarities`` 1 or
    2, ``duration_us`` and ``events`` the medians of a recording's length and of how many events it
    has; ``stated`` tells whether a file says the sensor's size. ``repair`` counts the events of all
    that were sorted or dropped, and ``repaired`` the recordings that had some.
    """

    sensor: tuple[int, int]
    polarities: int
    duration_us: int
    events: int
    stated: bool
    repair: Repair
    repaired: int


def survey(own: OwnData) -> Survey:
    """Read all event recordings once, to say what was not said of them.

    Raises:
        InputError: naming a recording that is malformed.
    """
    height, width, stated = 1, 1, False
    durations, counts, repairs = [], [], []
    polarities: set[int] = set()
    for file in _progress(own, own.listing().files):
        found = read_recording(file.path, own.sensor, own.time_unit, repair=own.repair_times)
        events = found.events
        stated |= found.sensor is not None
        needed = found.sensor or (int(events.y.max()) + 1, int(events.x.max()) + 1)
        height, width = max(height, needed[0]), max(width, needed[1])
        polarities |= set(np.unique(events.p).tolist())
        durations.append(int(events.t[-1] - events.t[0]))
        counts.append(len(events.t))
        repairs.append(found.repair)
    SENSOR_PIXELS.check(own.name, height * width)
    duration, count = int(np.median(durations)), int(np.median(counts))
    total = Repair(*map(sum, zip(*repairs, strict=True)))
    return Survey(
        own.sensor or (height, width),
        len(polarities),
        max(1, duration),
        count,
        stated,
        total,
        sum(repair != Repair() for repair in repairs),
    )


def has_events(own: OwnData) -> bool:
    """Whether the data is files of events, which have to be cut into frames.

    Raises:
        InputError: if there is no such data, or its files are of no kind or of several.
    """
    if own.in_folders:
        return own.listing().kind == "events"
    if not (Path(own.path).is_file() or own.streams or is_factory(own.path)):
        raise InputError(
            f"{option('data')}: no such file or folder: {own.path}; expected a folder with one "
            "sub-folder per class, an .npz file, or module:function."
        )
    return False


def load_own(own: OwnData) -> Dataset:
    """Images, or frames that are cut already; events in files are an :class:`EventFolder`.

    Raises:
        InputError: naming the file, or what is wrong with the arrays.
    """
    if own.sounds:
        listing = own.listing()
        channels = None if own.sensor is None else own.sensor[1]
        progress = _progress(own, listing.files)
        return load_sounds(own.name, listing, progress, own.bins or DEFAULT_BINS, channels)
    if own.in_folders:
        return _load_images(own)
    if is_factory(own.path):
        return as_own_dataset(own, make(own.path, named=option("data")))
    if (files := own.streams) is not None:
        channels = None if own.sensor is None else own.sensor[1]
        train, test, names = stream_files.load(files, own.bins or DEFAULT_BINS, channels)
        return _of_arrays(own, train, test, names)
    path = Path(own.path)
    if path.suffix.lower() != ".npz":
        raise InputError(
            f"{option('data')}: {path} is neither a folder nor an .npz or HDF5 file; provide one "
            "of them, or module:function."
        )
    train, test, names = read_npz(path)
    return _of_arrays(own, train, test, names)


def as_own_dataset(own: OwnData, found: Any, where: str | None = None) -> Dataset:
    """Data that was handed over in Python.

    Args:
        own: how it is read.
        found: as :func:`brainleaks.data.handed_over.read_parts` takes it.
        where: what to call it in errors; by default the path.

    Raises:
        InputError: as there, or if what is found are no samples.
    """
    if isinstance(found, Dataset):
        return found
    return _of_arrays(own, *read_parts(where or own.path, found))


def _of_arrays(own: OwnData, train: Part, test: Part | None, names: list[str] | None) -> Dataset:
    given = own.classes or names
    return as_dataset(own.name, train, test, holdout=own.holdout, class_names=given)


def _load_images(own: OwnData) -> Dataset:
    listing = own.listing()
    images = list(_of_one_size(own, listing.files))
    depth = {"grey": 1, "rgb": 3}.get(own.channels or "") or max(len(image) for image in images)
    parts = {}
    for part in ("train", "test"):
        which = [i for i, file in enumerate(listing.files) if file.part == part]
        stacked = np.stack([_with_channels(images[i], depth) for i in which])
        labels = torch.tensor([listing.files[i].label for i in which])
        parts[part] = Samples(torch.from_numpy(stacked), labels)
    return Dataset(own.name, parts["train"], parts["test"], listing.class_names)


def _of_one_size(own: OwnData, files: list[File]) -> Iterator[NDArray[np.float32]]:
    first: tuple[int, ...] | None = None
    paths = [file.path for file in files]
    for file, image in zip(_progress(own, files), read_images(paths), strict=True):
        first = first or image.shape[1:]
        if image.shape[1:] != first:
            raise InputError(
                f"{file.path} has {image.shape[2]} x {image.shape[1]} pixels but {paths[0]} has "
                f"{first[1]} x {first[0]}; all images must have the same size. Resize them as for "
                "the model."
            )
        yield image


def _with_channels(image: NDArray[np.float32], depth: int) -> NDArray[np.float32]:
    """Grey as colour by repetition, colour as grey by ITU-R 601's luma, as Pillow has it."""
    if len(image) == depth:
        return image
    if depth == 3:
        return np.repeat(image, 3, 0)
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    return np.tensordot(luma, image, 1)[None]


def _progress(own: OwnData, files: list[File]) -> Iterator[File]:
    return iter(tqdm(files, desc=own.name, unit=" files", disable=None, file=sys.stderr))
