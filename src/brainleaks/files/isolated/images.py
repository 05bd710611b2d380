"""Decoding image files by Pillow: the codecs beyond PNG and PGM in the child process alone."""

import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from brainleaks.errors import InputError
from brainleaks.limits import IMAGE_PIXELS, SAMPLE_BYTES

#: Formats whose decoders are simple enough to be called in this process.
SIMPLE = ("PNG", "PPM")
_FORMATS = (*SIMPLE, "JPEG", "BMP", "TIFF", "WEBP")
#: Pillow's modes of sixteen bits; which of them a file gets depends on its release.
_DEEP = ("I;16", "I;16L", "I;16B", "I")
_GREY = ("1", "L", "LA")
_PALETTE = ("P", "PA")
_COLOUR = ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def read(path: Path) -> Any:
    """The pixels of one image in any of the formats; see :func:`decode`."""
    SAMPLE_BYTES.check(path, path.stat().st_size)
    return decode(path, path.read_bytes(), _FORMATS)


def decode(path: Path, content: bytes, formats: tuple[str, ...]) -> Any:
    """Grey ``(H, W)`` or colour ``(H, W, 3)``: uint8, and int32 up to 65535 where it is deep.

    Palettes are resolved, to grey where all of its colours are; transparency is dropped.

    Raises:
        InputError: if the file is damaged, has too many pixels, or is of another kind.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have our own limit
            with Image.open(io.BytesIO(content), formats=formats) as image:
                IMAGE_PIXELS.check(path, image.width * image.height)
                return _pixels(path, image)
    except InputError:
        raise
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,  # what Pillow raises for a damaged PNG
        ValueError,
        LookupError,
        ArithmeticError,
        TypeError,
        RuntimeError,
        NotImplementedError,
        EOFError,
    ) as error:
        # Pillow names the buffer that it was given, and its address
        reason = re.sub(r" ?<_io.BytesIO object at \w+>", "", " ".join(str(error).split()))
        raise InputError(f"{path} is not a readable image ({reason}).") from error


def _pixels(path: Path, image: Image.Image) -> Any:
    if image.mode in _DEEP:
        return np.asarray(image, np.int32)
    if image.mode in _GREY:
        return np.asarray(image.convert("L"))
    if image.mode in _PALETTE:
        colours = np.asarray(image.convert("RGB"))
        grey = bool((colours == colours[..., :1]).all())
        return colours[..., 0].copy() if grey else colours
    if image.mode in _COLOUR:
        return np.asarray(image.convert("RGB"))
    raise InputError(
        f"{path} is an image of mode {image.mode}; expected grey or colour, 8 or 16 bits a value."
    )
