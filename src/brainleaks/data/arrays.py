"""Samples in memory, such as the arrays of an ``.npz``, as this package keeps them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brainleaks.data.dataset import Dataset, Samples, SpikeTrains
from brainleaks.data.holdout import held_out
from brainleaks.data.numpy_files import read_arrays
from brainleaks.data.parts import select
from brainleaks.errors import InputError, option
from brainleaks.limits import CHANNELS, CLASSES, FILE_BYTES, FRAMES, IMAGE_PIXELS

_TRAIN = (("x_train", "y_train"), ("train_images", "train_labels"))
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))
_WHOLE = (("x", "y"), ("images", "labels"), ("data", "labels"), ("data", "targets"))
_CHANNELS = (1, 2, 3)


class Part(NamedTuple):
    """Samples as they were found: ``inputs`` ``(N, ...)``, ``labels`` ``(N,)``."""

    inputs: NDArray[Any]
    labels: NDArray[Any]


def read_npz(path: Path) -> tuple[Part, Part | None, list[str] | None]:
    """The parts of an ``.npz`` file and, where it has ``class_names``, those.

    Arrays are called ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or ``x`` and ``y`` where
    a part is still to be held out.

    Raises:
        InputError: if the file is damaged, would have to be unpickled, or has other arrays.
    """
    FILE_BYTES.check(path, path.stat().st_size)
    found = read_arrays(str(path), path.read_bytes())
    if not isinstance(found, dict):
        raise InputError(f"{path} holds one array; expected inputs and labels, x and y.")
    train = _pair(found, (*_TRAIN, *_WHOLE))
    if train is None:
        raise InputError(
            f"{path} holds {', '.join(sorted(found)) or 'nothing'}; expected x_train, y_train, "
            "x_test and y_test, or x and y."
        )
    names = found.get("class_names")
    return train, _pair(found, _TEST), None if names is None else [str(name) for name in names]


def _pair(found: dict[str, NDArray[Any]], names: Sequence[tuple[str, str]]) -> Part | None:
    for inputs, labels in names:
        if inputs in found and labels in found:
            return Part(found[inputs], found[labels])
    return None


def as_dataset(
    name: str,
    train: Part,
    test: Part | None,
    *,
    holdout: float | None,
    class_names: Sequence[str] | None,
) -> Dataset:
    """Images or binary frames, checked, with some of them held out where no test part is there.

    Bytes are taken for grey values of 0 to 255; other images must be in [0, 1]. What has five
    axes, ``(N, T, C, H, W)``, is recordings, in which all that is above 0 fires.

    Raises:
        InputError: naming what is no sample: a shape, a value, a label.
    """
    parts = {"train": _samples(f"{name}, training part", train)}
    CLASSES.check(name, int(parts["train"].labels.max()) + 1)
    count = len(class_names) if class_names is not None else int(parts["train"].labels.max()) + 1
    names = tuple(class_names) if class_names is not None else tuple(map(str, range(count)))
    if test is not None:
        if holdout is not None:
            raise InputError(
                f"{option('holdout')}: {name} already has a test split; leave this out."
            )
        parts["test"] = _samples(f"{name}, test part", test)
    else:
        if holdout is None:
            raise InputError(
                f"{name} has no test split: give x_test and y_test, or a pair of data sets, or "
                f"hold out a fraction of the samples with {option('holdout', 0.2)}."
            )
        parts = _divided(name, parts["train"], names, holdout)
    _check_labels(name, parts, names)
    shapes = [_shape(samples) for samples in parts.values()]
    if shapes[0] != shapes[1]:
        raise InputError(f"{name}: training inputs are {shapes[0]}, test inputs {shapes[1]}.")
    return Dataset(name, parts["train"], parts["test"], names)


def _samples(where: str, part: Part) -> Samples:
    inputs, labels = part
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(
            f"{where}: labels are {labels.dtype} of shape {labels.shape}; expected one integer "
            "per sample, its class. Networks that predict a quantity cannot be audited."
        )
    if len(inputs) != len(labels) or not len(labels):
        raise InputError(f"{where}: found {len(inputs)} inputs and {len(labels)} labels.")
    if inputs.dtype.kind not in "iufb":
        raise InputError(f"{where}: inputs are {inputs.dtype}; expected numbers.")
    if inputs.ndim == 5:
        return Samples(_recordings(where, inputs), torch.from_numpy(labels.astype(np.int64)))
    return Samples(_images(where, inputs), torch.from_numpy(labels.astype(np.int64)))


def _images(where: str, inputs: NDArray[Any]) -> Tensor:
    """``(N, C, H, W)`` in [0, 1], from channels first, last or left out."""
    if inputs.ndim == 3:
        inputs = inputs[:, None]
    if inputs.ndim != 4 or 0 in inputs.shape:
        raise InputError(
            f"{where}: inputs have shape {inputs.shape}; expected images (N, H, W), (N, C, H, W) "
            "or (N, H, W, C), or recordings (N, T, channels) or (N, T, C, H, W)."
        )
    if inputs.shape[1] not in _CHANNELS and inputs.shape[3] in _CHANNELS:
        inputs = inputs.transpose(0, 3, 1, 2)
    CHANNELS.check(where, inputs.shape[1])
    IMAGE_PIXELS.check(where, inputs.shape[2] * inputs.shape[3])
    if inputs.dtype == np.uint8 and inputs.max() > 1:  # else spikes
        return torch.from_numpy(inputs.astype(np.float32) / 255)
    values = np.array(inputs, np.float32, order="C")  # a copy: a file's own bytes are read-only
    if not np.isfinite(values).all():
        raise InputError(f"{where}: inputs hold values that are not finite numbers.")
    if values.min() < 0 or values.max() > 1:
        raise InputError(
            f"{where}: inputs range from {values.min():g} to {values.max():g}; expected images in "
            "[0, 1], or bytes. If the model takes normalised images, put the normalisation into "
            "its factory."
        )
    return torch.from_numpy(values)


def _recordings(where: str, inputs: NDArray[Any]) -> SpikeTrains:
    """``(N, T, C, H, W)``, anything above 0 being a spike."""
    if 0 in inputs.shape or (inputs.dtype.kind == "f" and not np.isfinite(inputs).all()):
        raise InputError(
            f"{where}: recordings of shape {inputs.shape} are empty or hold NaN; expected frames."
        )
    if inputs.min() < 0:
        raise InputError(f"{where}: recordings hold {inputs.min()}; expected spikes, 0 or more.")
    count, steps, *shape = inputs.shape
    FRAMES.check(where, steps)
    CHANNELS.check(where, shape[0])
    IMAGE_PIXELS.check(where, shape[1] * shape[2])
    rows = inputs.reshape(count * steps, -1) > 0
    pixels = np.nonzero(rows)[1]
    small = rows.shape[1] <= 1 << 16
    return SpikeTrains(
        pixels.astype(np.uint16 if small else np.uint32),
        np.concatenate([[0], np.cumsum(rows.sum(1))]).astype(np.int64),
        np.arange(count + 1, dtype=np.int64) * steps,
        (shape[0], shape[1], shape[2]),
    )


def _divided(
    name: str, samples: Samples, names: tuple[str, ...], holdout: float
) -> dict[str, Samples]:
    chosen = held_out(name, samples.labels.tolist(), names, holdout)
    mask = torch.zeros(len(samples.labels), dtype=torch.bool)
    mask[list(chosen)] = True
    return {"train": select(samples, ~mask), "test": select(samples, mask)}


def _check_labels(name: str, parts: dict[str, Samples], names: tuple[str, ...]) -> None:
    known = set(parts["train"].labels.tolist())
    for part, samples in parts.items():
        low, high = int(samples.labels.min()), int(samples.labels.max())
        if low < 0 or (part == "train" and high >= len(names)):
            raise InputError(
                f"{name}: labels of the {part} split range from {low} to {high}; expected 0 to "
                f"{len(names) - 1}, one for each of {len(names)} classes."
            )
        unknown = sorted(set(samples.labels.tolist()) - known)
        if unknown:
            raise InputError(
                f"{name}: class {unknown[0]} is only in the test split; the model cannot leak a "
                "class that it was not trained on."
            )


def _shape(samples: Samples) -> tuple[int, ...]:
    inputs = samples.inputs
    return inputs.shape if isinstance(inputs, SpikeTrains) else tuple(inputs.shape[1:])
