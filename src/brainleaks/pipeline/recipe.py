"""Training by the user's own recipe, for controls and reference networks."""

import hashlib
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from brainleaks.data import Samples
from brainleaks.errors import InputError
from brainleaks.factory import imported, make

_NAMED = "the recipe"


class Learnable(Dataset[tuple[Tensor, int]]):
    """Samples as a torch data set: pairs of an input and its class.

    An input is an image ``(C, H, W)`` in [0, 1], or the frames of a recording ``(T, C, H, W)``.

    Args:
        samples: of some of the classes, numbered from 0.
        classes: the number of each in the whole data, as the target's outputs are numbered.
    """

    def __init__(self, samples: Samples, classes: Sequence[int]) -> None:
        self._samples, self._classes = samples, list(classes)

    def __len__(self) -> int:
        return len(self._samples.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        inputs = self._samples.inputs[torch.tensor([index])]
        first = inputs[:, 0] if inputs.ndim == 5 else inputs[0]
        return first, self._classes[int(self._samples.labels[index])]


def train_by(recipe: str, samples: Samples, classes: Sequence[int], seed: int) -> nn.Module:
    """A network that the user's recipe trains.

    Args:
        recipe: ``module:function``. It is called with the arguments that it names, of ``dataset``
            (a :class:`Learnable`) and ``seed``, and returns the trained network.
        samples: the training data.
        classes: as in :class:`Learnable`.
        seed: sets torch's global generator, and is handed over.

    Raises:
        InputError: if the function cannot be imported, fails, or returns no torch module.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        found = make(recipe, _NAMED, dataset=Learnable(samples, classes), seed=seed)
    if not isinstance(found, nn.Module):
        raise InputError(
            f"{_NAMED} {recipe} returns a {type(found).__name__}; expected the trained network, a "
            "torch module."
        )
    return found


def identity(recipe: str) -> dict[str, Any]:
    """What determines a recipe: its name and the source of its module, which is imported.

    Raises:
        InputError: if the function cannot be imported.
    """
    module = inspect.getmodule(imported(recipe, _NAMED))
    try:
        source = inspect.getsource(module) if module else ""
    except OSError:  # it was not written in a file
        source = ""
    return {"recipe": recipe, "source": hashlib.sha256(source.encode()).hexdigest()}
