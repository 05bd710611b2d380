"""The attacks by the calling convention of IBM's Adversarial Robustness Toolbox.

For pipelines that call ``attack.infer(x, y)``, as of ART's ``MIFace``
(https://adversarial-robustness-toolbox.readthedocs.io, ``art.attacks.inference.model_inversion``).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from brainleaks.errors import InputError
from brainleaks.evaluation.panel import as_rates
from brainleaks.target import Target


class ModelInversion:
    """Any attack on a target, called as ART's are.

    Args:
        target: what is attacked.
        attack: how; :class:`~brainleaks.attacks.WithinPrior` with its prior bound
            (``functools.partial``).
        seed: where all randomness comes from.

    Example:
        >>> from brainleaks import Fredrikson
        >>> from brainleaks.networks import MLP
        >>> target = Target(MLP((1, 8, 8), 10, hidden=50), input_shape=(1, 8, 8), classes=10)
        >>> ModelInversion(target, Fredrikson(iterations=20)).infer(None, y=[3, 3, 7]).shape
        (3, 1, 8, 8)
    """

    def __init__(self, target: Target, attack: Callable[..., Tensor], *, seed: int = 0) -> None:
        self.target, self.attack, self.seed = target, attack, seed

    def infer(
        self, x: ArrayLike | None, y: ArrayLike | None = None, **ignored: Any
    ) -> NDArray[np.float32]:
        """One reconstruction for each label, ``(N, C, H, W)`` float32; spikes as firing rates.

        Args:
            x: ``None`` or zeros: where an attack starts is its own affair.
            y: labels ``(N,)``, or one-hot ``(N, classes)``.
            ignored: what ART's other attacks take.

        Raises:
            InputError: if ``x`` is something to start from, or a label is of no class.
            AccessError: if the target does not grant what the attack needs.
        """
        if x is not None and np.any(np.asarray(x)):
            raise InputError(
                "x: these attacks choose their own starting point; pass None or zeros."
            )
        labels = self._labels(y)
        asked, place = np.unique(labels, return_inverse=True)
        generator = torch.Generator().manual_seed(self.seed)
        made = self.attack(self.target, torch.from_numpy(asked), generator=generator)
        found: NDArray[np.float32] = as_rates(made).float().cpu().numpy()[place]
        return found

    def _labels(self, y: ArrayLike | None) -> NDArray[np.int64]:
        found = np.asarray([] if y is None else y)
        if found.ndim == 2:
            found = found.argmax(1)
        classes = self.target.classes
        if found.ndim != 1 or not len(found) or not (np.isin(found, np.arange(classes))).all():
            raise InputError(
                f"y: expected one or more labels, 0 to {classes - 1}, or one-hot rows."
            )
        return found.astype(np.int64)
