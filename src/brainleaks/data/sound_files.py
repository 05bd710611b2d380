"""Reading sound: ``.wav`` files of one channel."""

import io
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from brainleaks.errors import InputError
from brainleaks.limits import SAMPLE_BYTES

SOUND_FILES = (".wav",)
#: Hz that sound may have.
_RATES = (1_000, 400_000)


class Sound(NamedTuple):
    """``samples``: ``(S,)``, float32, of any scale; ``rate`` in Hz."""

    samples: NDArray[np.float32]
    rate: int


def read_sound(path: Path, rate: int | None = None) -> Sound:
    """One ``.wav``, PCM or float; see :func:`decode_sound`.

    Raises:
        InputError: if it is no such file.
    """
    try:
        SAMPLE_BYTES.check(path, path.stat().st_size)
        return decode_sound(path, path.read_bytes(), rate)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error


def decode_sound(where: object, content: bytes, rate: int | None = None) -> Sound:
    """What the bytes of a ``.wav`` hold.

    Args:
        where: names the file in messages.
        content: the bytes.
        rate: in Hz, if the sound must have that.

    Raises:
        InputError: if it is damaged, truncated, empty, silent, of several channels or of another
            rate.
    """
    found, samples = _decoded(where, content)
    if samples.ndim > 1:
        raise InputError(
            f"{where} has {samples.shape[1]} channels; expected one. Mix them down to mono."
        )
    if not _RATES[0] <= found <= _RATES[1]:
        raise InputError(
            f"{where} has a sample rate of {found:,} Hz; expected {_RATES[0]:,} to {_RATES[1]:,}."
        )
    if rate is not None and found != rate:
        raise InputError(
            f"{where} has a sample rate of {found:,} Hz; the others have {rate:,} Hz. Resample it."
        )
    if not len(samples):
        raise InputError(f"{where} holds no sound; remove it, or record it again.")
    if not np.isfinite(samples).all():
        raise InputError(f"{where} contains NaN or infinity; expected finite samples.")
    middle = 128 if samples.dtype == np.uint8 else 0  # eight bits are unsigned
    values = samples.astype(np.float32) - middle
    if not values.any():
        raise InputError(f"{where} is silent; remove it, or record it again.")
    return Sound(values, found)


def _decoded(where: object, content: bytes) -> tuple[int, NDArray[Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message="Reached EOF")
            rate, samples = wavfile.read(io.BytesIO(content))
            return int(rate), np.asarray(samples)
    except Exception as error:  # a stranger's bytes: scipy raises whatever it meets in them
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{where}: damaged, truncated or not a WAV file ({reason}).") from error
