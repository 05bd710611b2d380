"""scikit-learn's handwritten digits: 1,797 images of 8 x 8, shipped with the library.

Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI repository, 1998 (CC BY 4.0).
Every fifth image is held out, which leaves 1,438 to train and 359 to test.
"""

from pathlib import Path

import torch

from brainleaks.data.dataset import Dataset, Samples

SIZE = (1_438, 359)


def present(folder: Path) -> bool:
    """Whether the images can be read without a download: always."""
    return True


def fetch(folder: Path) -> None:
    """Nothing to download."""


def load(folder: Path) -> Dataset:
    """Read the digits; they need no folder."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float().div(16).unsqueeze(1)
    labels = torch.from_numpy(bunch.target).long()
    held_out = torch.arange(len(labels)) % 5 == 4
    return Dataset(
        name="digits",
        train=Samples(images[~held_out], labels[~held_out]),
        test=Samples(images[held_out], labels[held_out]),
        class_names=tuple(map(str, range(10))),
    )
