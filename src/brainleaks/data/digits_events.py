"""scikit-learn's digits recorded by a simulated event camera: events without a download.

The images are those of :mod:`brainleaks.data.digits`, with the same split, the recordings
:func:`brainleaks.data.simulate.simulate`'s: 34 x 34 pixels, about 308 ms, as N-MNIST's.
"""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from brainleaks.data.dataset import Samples
from brainleaks.data.digits import SIZE, fetch, present
from brainleaks.data.digits import load as load_images
from brainleaks.data.events import Recording
from brainleaks.data.simulate import Camera, simulate

SENSOR = Camera().sensor
CLASS_NAMES = tuple(map(str, range(10)))

#: Names the stream of random numbers of each part; with the number of its image, of a recording.
_STREAMS = {"train": 0, "test": 1}
#: MNIST's digits fill a box of 20 pixels within 28.
_BOX, _BORDER = 20, 4
#: The digits were black or white, 32 x 32, before they were reduced to 8 x 8 greys.
_CONTRAST = 2.5


def identity(folder: Path) -> str:
    """What changes when the recordings do: the libraries that ship, enlarge and record images."""
    made_by = ("scikit-learn", "numpy", "torch", "numba")
    return ", ".join(f"{library} {metadata.version(library)}" for library in made_by)


def recordings(folder: Path) -> Iterator[Recording]:
    """Simulate the recordings one by one; they need no folder, and are the same each time."""
    dataset = load_images(folder)
    parts: dict[Literal["train", "test"], Samples] = {"train": dataset.train, "test": dataset.test}
    for part, (images, labels, _) in parts.items():
        for number, image in enumerate(enlarged(cast("Tensor", images))):
            generator = np.random.default_rng((_STREAMS[part], number))
            events = simulate(image, generator)
            yield Recording(part, f"{number:05d}", int(labels[number]), events)


def enlarged(images: Tensor) -> NDArray[np.float32]:
    """Images ``(N, 1, 8, 8)`` in [0, 1], as large and as sharp as MNIST's: ``(N, 28, 28)``."""
    smooth = functional.interpolate(images, size=(_BOX, _BOX), mode="bicubic")
    sharp = ((smooth - 0.5) * _CONTRAST + 0.5).clamp(0, 1)
    bordered: NDArray[np.float32] = functional.pad(sharp, [_BORDER] * 4)[:, 0].numpy()
    return bordered


__all__ = [
    "CLASS_NAMES",
    "SENSOR",
    "SIZE",
    "enlarged",
    "fetch",
    "identity",
    "present",
    "recordings",
]
