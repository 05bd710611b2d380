"""Inspect a user's data and infer the settings that the user left open."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from brainleaks.data import Dataset, SpikeTrains
from brainleaks.data.class_folders import Listing
from brainleaks.data.own import (
    DEFAULT_BINS,
    OwnData,
    Survey,
    as_own_dataset,
    has_events,
    load_own,
    survey,
)
from brainleaks.errors import InputError, option

EncodingName = Literal["rate", "latency", "direct", "stream", "none"]
Polarity = Literal["first", "merged", "both"]

_STEPS = 25
#: The longest recordings that attacks make by default, as the protocol's are.
_LONGEST = 100
_MOST_NAMED = 12


@dataclass(frozen=True)
class Inputs:
    """The model's inputs, as far as the data does not determine them.

    Args:
        encoding: how images become spikes; by default the rate code, and none for a model of
            the framework torch.
        steps: time steps of the encoding, by default 25; of events, how many frames the median
            recording is cut into where ``frame_us`` is not given, and how many an attack makes.
        frame_us: length of a frame of events, in microseconds.
        denoise_us: as :class:`~brainleaks.data.events.Framing` has it.
        polarity: likewise; by default ``"both"`` where there are events of both.
    """

    encoding: EncodingName | None = None
    steps: int | None = None
    frame_us: int | None = None
    denoise_us: int | None = None
    polarity: Polarity | None = None


@dataclass(frozen=True)
class Seen:
    """A user's data, and how the model takes it.

    ``said`` are sentences on what it is and what of it was inferred; ``dataset`` is there unless
    it is events in files; ``steps`` is how long recordings and spike trains are that attacks make.
    ``rate`` is how bright inputs are, or how often a pixel fires, and ``filled`` the share of its
    time steps that a recording of channels lasts: what an attacker knows who knows what the model
    is for.
    """

    own: OwnData
    dataset: Dataset | None
    said: tuple[str, ...]
    encoding: EncodingName
    frames: dict[str, Any] | None
    steps: int
    shape: tuple[int, ...]
    training_samples: int
    rate: float
    filled: float = 1.0

    @property
    def spiking(self) -> bool:
        """Whether the model is asked about spike trains, rather than images."""
        return self.recorded or self.encoding == "rate"

    @property
    def recorded(self) -> bool:
        """Whether the data are recordings."""
        return self.frames is not None or self.own.framed


def look(own: OwnData, inputs: Inputs, framework: str | None, handed_over: Any = None) -> Seen:
    """Read a user's data, and infer how the model takes it.

    Args:
        own: where the data lies and how it is read.
        inputs: what the model takes.
        framework: that the model is of, where it was said.
        handed_over: the data itself, where it is not in files.

    Raises:
        InputError: if the data cannot be read, or an option does not suit it.
    """
    if handed_over is None and has_events(own):
        _refuse_encoding(inputs)
        return _look_at_events(own, inputs)
    if own.repair_times:
        raise InputError(
            f"{option('repair-times')}: only event recordings in class folders are repaired; "
            "leave this out."
        )
    if own.sounds or own.streams is not None:
        own = dataclasses.replace(own, bins=inputs.steps or DEFAULT_BINS)
    dataset = (
        load_own(own) if handed_over is None else as_own_dataset(own, handed_over, option("data"))
    )
    _refuse_framing(inputs)
    if isinstance(dataset.train.inputs, SpikeTrains):
        _refuse_encoding(inputs)
        return _look_at_frames(own, inputs, dataset, dataset.train.inputs)
    encoding = inputs.encoding or _encoding(own, framework)
    steps = _steps(inputs, dataset, encoding)
    code = {
        "none": "The model is given the images as they are",
        "direct": f"The model is given each image {steps} times, as a current",
        "stream": "The model is given one time step after the other",
    }.get(encoding, f"The model is given spikes, by a {encoding} code of {steps} time steps")
    otherwise = "" if inputs.encoding else f" ({option('encoding')} says otherwise)"
    said = f"{code}{otherwise}."
    rate = _rounded(float(cast(Tensor, dataset.test.inputs).mean()))
    filled = _filled(dataset) if encoding == "stream" else 1.0
    return Seen(
        own,
        dataset,
        (*_described(own, dataset, encoding), said, _known(rate, filled, encoding)),
        encoding,
        None,
        steps,
        dataset.input_shape,
        len(dataset.train.labels),
        rate,
        filled,
    )


def _filled(dataset: Dataset) -> float:
    """The share of the time steps up to the last spike, in the median held-out recording."""
    fires = cast(Tensor, dataset.test.inputs).amax((1, 3)) > 0
    steps = torch.arange(1, fires.shape[1] + 1)
    last = float((fires * steps).amax(1).float().median())
    return max(0.01, round(last / fires.shape[1], 2))


def _known(rate: float, filled: float, encoding: EncodingName) -> str:
    if encoding != "stream":
        return f"The attacker knows how bright inputs are: {rate:g} on average, of those held out."
    return (
        f"The attacker knows how often a channel fires, in {rate:g} of the time steps, and how "
        f"long recordings last, {filled:g} of the time steps, of those held out."
    )


def _encoding(own: OwnData, framework: str | None) -> EncodingName:
    if own.sounds or own.streams is not None:
        return "stream"
    return "none" if framework == "torch" else "rate"


def _steps(inputs: Inputs, dataset: Dataset, encoding: EncodingName) -> int:
    """The time steps that an image is shown for; those of a recording of channels are its rows."""
    if encoding != "stream":
        return inputs.steps or _STEPS
    steps = dataset.input_shape[-2]
    if inputs.steps not in (None, steps):
        raise InputError(
            f"{option('steps', inputs.steps)}: the recordings have {steps} time steps; leave this "
            "out."
        )
    return steps


def _look_at_events(own: OwnData, inputs: Inputs) -> Seen:
    listing, found = own.listing(), survey(own)
    steps = inputs.steps or _STEPS
    frame_us = inputs.frame_us or max(1, found.duration_us // steps)
    polarity = inputs.polarity or ("both" if found.polarities == 2 else "merged")
    frames = max(1, found.duration_us // frame_us)
    height, width = found.sensor
    source = "from its files" if found.stated else "by its events"
    channels = {
        "both": "both polarities, one channel each",
        "merged": "polarities merged into one channel",
        "first": "events of polarity 0 alone",
    }[polarity]
    shape = (2 if polarity == "both" else 1, height, width)
    shown = found.events / 2 if polarity == "first" and found.polarities == 2 else found.events
    rate = _rounded(shown / (found.duration_us / frame_us) / math.prod(shape))
    said = (
        _parts_said(own, listing.class_names, *_counts(listing)),
        f"The sensor has {height} x {width} pixels{_inferred(own.sensor, source)}.",
        f"Recordings are cut into binary frames of {frame_us:,} microseconds"
        f"{_inferred(inputs.frame_us, f'so that the median recording has {frames}')}, "
        f"{channels}{_inferred(inputs.polarity, 'by its events')}.",
        _firing_said(rate, "in the median recording"),
        *_repair_said(own, found),
    )
    own = dataclasses.replace(own, sensor=found.sensor)
    framing = {"frame_us": frame_us, "denoise_us": inputs.denoise_us, "polarity": polarity}
    length = inputs.steps or min(_LONGEST, frames)
    return Seen(own, None, said, "none", framing, length, shape, _counts(listing)[0], rate)


def _repair_said(own: OwnData, found: Survey) -> tuple[str, ...]:
    if not own.repair_times:
        return ()
    if not found.repaired:
        return ("Time runs forwards in all recordings: no event was sorted or dropped.",)
    return (
        f"Times were repaired in {found.repaired:,} recordings: {found.repair.sorted:,} events "
        f"that came late were sorted, {found.repair.dropped:,} whose time jumps were dropped.",
    )


def _look_at_frames(own: OwnData, inputs: Inputs, dataset: Dataset, trains: SpikeTrains) -> Seen:
    own = dataclasses.replace(own, framed=True)
    longest = int(np.diff(trains.recordings).max())
    held_out = cast(SpikeTrains, dataset.test.inputs)
    cells = (len(held_out.frames) - 1) * math.prod(held_out.shape)
    rate = _rounded(len(held_out.pixels) / cells)
    said = (
        *_described(own, dataset),
        f"They are recordings of up to {longest} binary frames.",
        _firing_said(rate, "of those held out"),
    )
    steps = inputs.steps or min(_LONGEST, longest)
    shape, count = dataset.input_shape, len(dataset.train.labels)
    return Seen(own, dataset, said, "none", None, steps, shape, count, rate)


def _firing_said(rate: float, where: str) -> str:
    return f"The attacker knows how often a pixel fires: in {rate:g} of the frames, {where}."


def _rounded(rate: float) -> float:
    """A rate to two digits: a field of probabilities can start from it."""
    return float(f"{min(max(rate, 1e-3), 0.9):.2g}")


def _described(own: OwnData, dataset: Dataset, encoding: EncodingName = "none") -> tuple[str, ...]:
    channels, height, width = dataset.input_shape
    counts = len(dataset.train.labels), len(dataset.test.labels)
    depth = {1: "one channel", 3: "three channels"}.get(channels, f"{channels} channels")
    size = f"{height} x {width} pixels and {depth}"
    if encoding == "stream":
        size = f"{height} time steps and {width} channels; in pictures time runs to the right"
    return (_parts_said(own, dataset.class_names, *counts), f"Inputs have {size}.")


def _parts_said(own: OwnData, names: Sequence[str], train: int, test: int) -> str:
    if len(names) < 2:
        raise InputError(f"{own.name} has one class; expected at least two.")
    order = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    text = (
        f"An audit on {own.name}: {train:,} training samples and {test:,} held out, of "
        f"{len(names)} classes, numbered in this order: {order}."
    )
    if own.holdout is not None:
        text += (
            f" The share of {own.holdout:g} of each class was held out by the audit: a model that "
            "was trained on all of it has seen both parts, and then nothing shows members."
        )
    return text


def _inferred(given: object, how: str) -> str:
    return "" if given is not None else f" (inferred {how})"


def _counts(listing: Listing) -> tuple[int, int]:
    train = sum(file.part == "train" for file in listing.files)
    return train, len(listing.files) - train


def _refuse_framing(inputs: Inputs) -> None:
    for name in ("frame-us", "denoise-us", "polarity"):
        if getattr(inputs, name.replace("-", "_")) is not None:
            raise InputError(
                f"{option(name)}: only event recordings are cut into frames; leave this out."
            )


def _refuse_encoding(inputs: Inputs) -> None:
    if inputs.encoding not in (None, "none"):
        raise InputError(
            f"{option('encoding', inputs.encoding)}: event data are spikes already; leave this out."
        )
