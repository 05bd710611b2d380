"""Reading image files of any size, grey or in colour."""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from brainleaks.errors import InputError

IMAGE_FILES = (
    ".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".pnm", ".bmp", ".tif", ".tiff", ".webp",
)  # fmt: skip
_FORMATS = ("PNG", "JPEG", "PPM", "BMP", "TIFF", "WEBP")
_LARGEST_FILE = 64 << 20
#: Pillow's modes of sixteen bits; which of them a file gets depends on its release.
_DEEP = ("I;16", "I;16L", "I;16B", "I")


def read_image(path: Path) -> NDArray[np.float32]:
    """One image in [0, 1], ``(1, H, W)`` if it is grey and ``(3, H, W)`` if it is in colour.

    Palettes are resolved, transparency is dropped, and sixteen bits are kept.

    Raises:
        InputError: if the file is damaged, too large, of another kind than its name says, or has
            more kinds of values than grey or red, green and blue.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path} has over 64 MB; expected an image of a training set.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(path.read_bytes()), formats=_FORMATS) as image:
                return _values(path, image)
    except InputError:
        raise
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        OSError,
        SyntaxError,  # what Pillow raises for a damaged PNG
        ValueError,
    ) as error:
        reason = " ".join(str(error).split()).replace("<_io.BytesIO object", "<the file")
        raise InputError(f"{path} is not a whole, readable image ({reason}).") from error


def _values(path: Path, image: Image.Image) -> NDArray[np.float32]:
    if image.mode in _DEEP:
        return (np.asarray(image, np.float32) / np.float32(65535))[None]
    if image.mode in ("1", "L", "LA"):
        return (np.asarray(image.convert("L"), np.float32) / np.float32(255))[None]
    if image.mode in ("RGB", "RGBA", "P", "PA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"):
        pixels = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    raise InputError(
        f"{path} is an image of mode {image.mode}; expected grey or colour, 8 or 16 bits a value."
    )
