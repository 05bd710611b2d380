"""The Free Spoken Digit Dataset by who speaks: six people; see :mod:`brainleaks.data.fsdd`."""

from pathlib import Path

from brainleaks.data import fsdd
from brainleaks.data.dataset import Dataset
from brainleaks.data.fsdd import SIZE, fetch, present


def load(folder: Path) -> Dataset:
    """As :func:`brainleaks.data.fsdd.load`; the label is the speaker."""
    found = fsdd.recordings(folder)
    return fsdd.divided("fsdd-speakers", found, found.speakers, fsdd.SPEAKERS)


__all__ = ["SIZE", "fetch", "load", "present"]
