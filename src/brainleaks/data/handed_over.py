"""Samples that are handed over in Python: NumPy arrays, torch data sets, and loaders of them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from brainleaks.data.arrays import Part
from brainleaks.errors import InputError

_EXPECTED = (
    "arrays (x, y), a torch data set or a DataLoader; or a pair of these, to train and to test"
)


def read_parts(where: str, found: Any) -> tuple[Part, Part | None, list[str] | None]:
    """The training part, the test part if there is one, and the names of the classes if known.

    Args:
        where: what to call it in errors.
        found: arrays ``(x, y)``, a torch data set or a loader, or a pair of these.

    Raises:
        InputError: if it is none of them, a data set is empty, or its inputs differ in shape.
    """
    if _is_array(found):
        raise InputError(f"{where} is an array without labels; expected {_EXPECTED}.")
    if not isinstance(found, tuple | list) or _are_arrays(found):
        return _halves(read_part(where, found), None)
    if len(found) not in (1, 2) or any(map(_is_array, found)):
        raise InputError(f"{where} holds {len(found)} objects; expected {_EXPECTED}.")
    first, *rest = [read_part(where, part) for part in found]
    return _halves(first, rest[0] if rest else None)


def read_part(where: str, found: Any) -> tuple[Part, list[str] | None]:
    """Every sample of one part, and its ``classes`` where a data set has some.

    Args:
        where: what to call it in errors.
        found: arrays ``(x, y)``, a torch data set, which has a length and gives pairs of an input
            and a label, or a loader. Of a loader, the samples that its sampler draws are taken in
            the order of the data set, as its ``collate_fn`` joins them.

    Raises:
        InputError: as :func:`read_parts`.
    """
    if _are_arrays(found):
        return Part(_plain(where, found[0]), _labels(found[1])), None
    try:
        if isinstance(found, DataLoader):
            return _of_loader(where, found), _classes(found.dataset)
        pairs = [found[i] for i in range(len(found))]
        inputs = [_plain(where, pair[0]) for pair in pairs]
        labels = [int(pair[1]) for pair in pairs]
    except InputError:
        raise
    except Exception as error:  # whatever the user's own code raises
        raise InputError(
            f"{where} is not a torch data set of inputs and labels ({type(error).__name__}: "
            f"{error}); expected {_EXPECTED}."
        ) from error
    if not inputs:
        raise InputError(f"{where} is empty: it has no samples.")
    shapes = {array.shape for array in inputs}
    if len(shapes) > 1:
        first, second, *_ = sorted(shapes)
        raise InputError(
            f"{where} mixes inputs of shape {first} and {second}; all must have the same shape. "
            "Resize images as for the model, or cut recordings into the same number of frames."
        )
    return Part(np.stack(inputs), np.array(labels)), _classes(found)


def _of_loader(where: str, loader: DataLoader[Any]) -> Part:
    dataset: Any = loader.dataset
    if isinstance(dataset, IterableDataset):
        raise InputError(
            f"{where}: the loader wraps an IterableDataset, which has no length; expected a data "
            "set with a length, or arrays (x, y)."
        )
    with torch.random.fork_rng(devices=[]):  # a shuffling sampler draws a seed
        drawn = sorted(set(loader.sampler))
    if not drawn:
        raise InputError(f"{where} is empty: it has no samples.")
    batch: Any = loader.collate_fn([dataset[i] for i in drawn])
    return Part(_plain(where, batch[0]), _labels(batch[1]))


def _halves(
    train: tuple[Part, list[str] | None], test: tuple[Part, list[str] | None] | None
) -> tuple[Part, Part | None, list[str] | None]:
    return train[0], test[0] if test else None, train[1]


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | Tensor)


def _are_arrays(found: Any) -> bool:
    """Whether it is inputs and their labels, rather than two parts."""
    return (
        isinstance(found, tuple | list)
        and len(found) == 2
        and _is_array(found[0])
        and (_is_array(found[1]) or isinstance(found[1], list | tuple))
    )


def _classes(dataset: Any) -> list[str] | None:
    names = getattr(dataset, "classes", None)
    return None if names is None else [str(name) for name in names]


def _labels(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _plain(where: str, value: Any) -> NDArray[Any]:
    """One input as an array; a picture of Pillow's with its channels first."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise InputError(f"{where} gives inputs of {array.dtype}; expected numbers.")
    is_picture = not isinstance(value, np.ndarray) and array.ndim == 3
    return array.transpose(2, 0, 1) if is_picture else array
