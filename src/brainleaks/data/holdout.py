"""Which samples to hold out of a user's own data."""

from collections.abc import Sequence

import torch

from brainleaks.errors import InputError
from brainleaks.randomness import stream


def held_out(
    where: str, labels: Sequence[int], class_names: Sequence[str], share: float
) -> set[int]:
    """Which samples to hold out: a share of each class, at random, the same ones every time.

    Args:
        where: what to call the data in errors.
        labels: one a sample.
        class_names: in the order of the labels.
        share: of each class, at least one sample.

    Raises:
        InputError: if a class has fewer than two samples, one for each part.
    """
    chosen: set[int] = set()
    of_class = torch.tensor(labels)
    for label, name in enumerate(class_names):
        own = (of_class == label).nonzero().squeeze(1)
        if len(own) < 2:
            raise InputError(
                f"{where}: the class {name} has {len(own)} sample; holding out requires at least "
                "two, one for training and one to compare with."
            )
        count = min(len(own) - 1, max(1, round(share * len(own))))
        order = torch.randperm(len(own), generator=stream(0, "held out", label))
        chosen |= set(own[order[:count]].tolist())
    return chosen
