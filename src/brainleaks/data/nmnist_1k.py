"""N-MNIST's first 1,000 training and first 100 test recordings.

Read from ``nmnist_1k.tar.gz`` or from the whole of N-MNIST; see :mod:`brainleaks.data.nmnist`.
"""

from collections.abc import Iterator
from pathlib import Path

from brainleaks.data.events import Recording
from brainleaks.data.nmnist import CLASS_NAMES, SENSOR, fetch, identity, present
from brainleaks.data.nmnist import recordings as all_recordings

SIZE = (1_000, 100)


def recordings(folder: Path) -> Iterator[Recording]:
    """As :func:`brainleaks.data.nmnist.recordings`, those of MNIST's first images."""
    last = {"train": SIZE[0], "test": SIZE[1]}
    return all_recordings(folder, lambda part, number: number <= last[part])


__all__ = ["CLASS_NAMES", "SENSOR", "SIZE", "fetch", "identity", "present", "recordings"]
