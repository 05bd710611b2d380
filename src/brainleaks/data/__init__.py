"""Data sets, one file each, and the registry of their names."""

from pathlib import Path
from typing import Protocol

from brainleaks.data import att_faces, digits, mnist
from brainleaks.data.dataset import Dataset, Samples


class Source(Protocol):
    """What each data set's file offers."""

    def present(self, folder: Path) -> bool:
        """Whether the data lies below ``folder``."""

    def fetch(self, folder: Path) -> None:
        """Download it there, unless it is present."""

    def load(self, folder: Path) -> Dataset:
        """Read it, downloading it first where it is absent."""


DATASETS: dict[str, Source] = {"digits": digits, "att-faces": att_faces, "mnist": mnist}

__all__ = ["DATASETS", "Dataset", "Samples", "Source"]
