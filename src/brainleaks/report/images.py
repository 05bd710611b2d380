"""Pictures and recordings in few bytes, for a page that holds them itself."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brainleaks.report.figures import Picture

_GREYS = 15
#: Recordings are shown to so many frames; a sprite of more would pass what browsers decode.
MOST_FRAMES = 120
_FEW = 4

_Format = Literal["PNG", "WEBP"]
_Item = TypeVar("_Item")
_Step = TypeVar("_Step")
_Made = TypeVar("_Made")


class Sprite(NamedTuple):
    """A recording as one picture of all its frames, ``columns`` in a row.

    ``projection`` shows it in space and time at once: time to the right, and the rows of pixels
    downwards, each as bright as it is full.
    """

    uri: str
    frames: int
    columns: int
    width: int
    height: int
    projection: str


def still_uris(shown: Sequence[Picture], budget: int) -> list[str]:
    """Pictures for ``<img>``: exact if they fit the budget, else as good as it allows.

    Args:
        shown: grey values ``(H, W)`` or colours ``(H, W, 3)``.
        budget: characters, together.
    """
    ladder: list[tuple[_Format, int, int]] = [
        ("PNG", 100, 1),
        ("WEBP", 85, 1),
        ("WEBP", 60, 1),
        ("WEBP", 40, 2),
        ("WEBP", 30, 4),
    ]

    def encode(picture: Picture, step: tuple[_Format, int, int]) -> str:
        form, quality, shrink = step
        return _uri(_pooled(picture[None], shrink)[0], form, quality)

    return _first_that_fits(shown, ladder, encode, len, budget)


def sprites(recordings: Sequence[NDArray[np.float32]], budget: int) -> list[Sprite]:
    """Recordings for the player: in full if they fit the budget, else coarser in space and time.

    Args:
        recordings: spikes or their probabilities ``(T, H, W)``; the brightest of each is white.
        budget: characters, together.
    """
    ladder: list[tuple[_Format, int, int]] = [
        ("PNG", 1, 1),
        ("WEBP", 1, 1),
        ("WEBP", 2, 1),
        ("WEBP", 2, 2),
        ("WEBP", 4, 2),
        ("WEBP", 4, 4),
    ]

    def encode(recording: NDArray[np.float32], step: tuple[_Format, int, int]) -> Sprite:
        return _sprite(recording[:MOST_FRAMES], *step)

    def size(made: Sprite) -> int:
        return len(made.uri) + len(made.projection)

    return _first_that_fits(recordings, ladder, encode, size, budget)


def _first_that_fits(
    items: Sequence[_Item],
    ladder: Sequence[_Step],
    encode: Callable[[_Item, _Step], _Made],
    size: Callable[[_Made], int],
    budget: int,
) -> list[_Made]:
    """All items by the first step at which they fit; a few of them say whether to try it."""
    few = items[:: max(1, len(items) // _FEW)]
    for step in ladder[:-1]:
        expected = sum(size(encode(item, step)) for item in few) * len(items) / len(few)
        if expected > budget:
            continue
        made = [encode(item, step) for item in items]
        if sum(map(size, made)) <= budget:
            return made
    return [encode(item, ladder[-1]) for item in items]


def _sprite(recording: NDArray[np.float32], form: _Format, space: int, time: int) -> Sprite:
    whole = len(recording) // time * time or len(recording)
    pooled = recording[:whole].reshape(-1, min(time, whole), *recording.shape[1:]).mean(1)
    pooled = _pooled(pooled, space)
    frames = _greys(pooled)
    count, height, width = frames.shape
    columns = int(np.ceil(np.sqrt(count * height / width)))
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width), np.uint8)
    sheet[:count] = frames
    sheet = sheet.reshape(rows, columns, height, width).swapaxes(1, 2)
    return Sprite(
        uri=_uri(sheet.reshape(rows * height, columns * width), form, 50),
        frames=count,
        columns=columns,
        width=width,
        height=height,
        projection=_uri(_greys(pooled.mean(2)).T, form, 50),
    )


def _greys(values: NDArray[np.float32]) -> Picture:
    """The brightest is white; in few greys, as probabilities would not pack well."""
    scaled = values / (float(values.max()) or 1.0)
    return ((scaled * _GREYS).round() * (255 // _GREYS)).astype(np.uint8)


def _pooled(frames: NDArray[Any], side: int) -> NDArray[Any]:
    """Means over squares of pixels ``(N, H, W, ...)``; what is left at the edges is cut off."""
    if side == 1:
        return frames
    count, height, width = frames.shape[0], frames.shape[1] // side, frames.shape[2] // side
    cut = frames[:, : height * side, : width * side]
    blocks = cut.reshape(count, height, side, width, side, *frames.shape[3:])
    means: NDArray[Any] = blocks.mean((2, 4)).astype(frames.dtype)
    return means


def _uri(picture: Picture, form: _Format, quality: int) -> str:
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(picture))
    if form == "PNG":
        binary = picture.ndim == 2 and np.isin(picture, (0, 255)).all()
        (image.convert("1") if binary else image).save(buffer, form)
    else:
        image.save(buffer, form, quality=quality, method=2)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{form.lower()};base64,{encoded}"
