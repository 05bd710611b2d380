"""The tensors of a run folder, checked against its numbers."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from brainleaks.errors import InputError
from brainleaks.files import atomic


def read_inputs(folder: Path, name: str, results: dict[str, Any]) -> Tensor:
    """The one tensor of a file that holds an input a class: spikes, their probabilities, or images.

    Args:
        folder: the run folder.
        name: of the file within it.
        results: the run's numbers.

    Returns:
        ``(classes, T, 1, D)`` or ``(classes, 1, D)``.

    Raises:
        InputError: if it is not there, is not of the run's classes and input shape, or holds
            something else than finite numbers.
    """
    path, data = folder / name, results["dataset"]
    tensors = atomic.read_tensors(path)
    if len(tensors) != 1:
        raise InputError(f"{path} holds {len(tensors)} tensors; expected one.")
    values = _numbers(path, *tensors.popitem())
    ends = (data["classes"], 1, math.prod(data["input_shape"]))
    shape = tuple(values.shape)
    if (shape[0], *shape[-2:]) != ends or values.ndim not in (3, 4) or 0 in shape:
        expected = f"({ends[0]}, T, 1, {ends[2]}) or ({ends[0]}, 1, {ends[2]})"
        raise InputError(f"{path} has shape {shape}; expected {expected}, as results.json says.")
    return values


def read_images(folder: Path, name: str, results: dict[str, Any]) -> dict[str, Tensor]:
    """Images of each class by what they show.

    Args:
        folder: the run folder.
        name: of the file within it.
        results: the run's numbers.

    Returns:
        ``(classes, channels, H, W)`` each.

    Raises:
        InputError: as :func:`read_inputs`.
    """
    path, data = folder / name, results["dataset"]
    expected = (data["classes"], *data["input_shape"])
    tensors = {key: _numbers(path, key, value) for key, value in atomic.read_tensors(path).items()}
    for key, value in tensors.items():
        if tuple(value.shape) != expected:
            raise InputError(
                f"{path} holds {key} of shape {tuple(value.shape)}; expected {expected}, as "
                "results.json says."
            )
    return tensors


def read_samples(folder: Path, name: str, results: dict[str, Any], count: int) -> Tensor:
    """Images of so many samples.

    Returns:
        ``(count, channels, H, W)``.

    Raises:
        InputError: as :func:`read_inputs`.
    """
    path, expected = folder / name, (count, *results["dataset"]["input_shape"])
    tensors = atomic.read_tensors(path)
    values = _numbers(path, "images", tensors["images"]) if tensors.keys() == {"images"} else None
    if values is None or tuple(values.shape) != expected:
        raise InputError(f"{path} does not hold images of shape {expected}, as results.json says.")
    return values


def _numbers(path: Path, key: str, value: Tensor) -> Tensor:
    """As float32, on which pictures are made."""
    if value.dtype.is_complex or value.ndim == 0:
        raise InputError(f"{path} holds {key} of {value.dtype}; expected an array of numbers.")
    values = value.to(torch.float32)
    if not values.isfinite().all():
        raise InputError(f"{path} holds {key} with values that are not finite (NaN or infinity).")
    return values
