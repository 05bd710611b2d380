"""Reading image files of any size, grey or in colour."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainleaks.errors import InputError
from brainleaks.files import isolated
from brainleaks.files.isolated.images import SIMPLE, decode
from brainleaks.limits import SAMPLE_BYTES

IMAGE_FILES = (
    ".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".pnm", ".bmp", ".tif", ".tiff", ".webp",
)  # fmt: skip
#: How files in the simple formats begin.
_SIMPLE_STARTS = (b"\x89PNG", *(b"P%d" % kind for kind in range(1, 7)))


def read_image(path: Path) -> NDArray[np.float32]:
    """One image in [0, 1], ``(1, H, W)`` if it is grey and ``(3, H, W)`` if it is in colour.

    Palettes are resolved, to grey where they hold greys alone, transparency is dropped, and sixteen
    bits are kept.

    Raises:
        InputError: if the file is damaged, too large, of another kind than its name says, or has
            more kinds of values than grey or red, green and blue.
    """
    return next(read_images([path]))


def read_images(paths: Sequence[Path]) -> Iterator[NDArray[np.float32]]:
    """Images one after the other; see :func:`read_image`.

    PNG and PGM are decoded here, the other formats in a child process.
    """
    for simple, group in groupby(paths, _is_simple):
        if simple:
            yield from (_values(decode(path, _content(path), SIMPLE)) for path in group)
        else:
            yield from map(_values, isolated.calls("image", group))


def _is_simple(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(_SIMPLE_STARTS)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error


def _content(path: Path) -> bytes:
    SAMPLE_BYTES.check(path, path.stat().st_size)
    return path.read_bytes()


def _values(pixels: NDArray[Any]) -> NDArray[np.float32]:
    largest = 255 if pixels.dtype == np.uint8 else 65535
    values = np.asarray(pixels, np.float32) / np.float32(largest)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))
