"""Spike trains as an animation."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_MOST_FRAMES = 40
_MOST_BYTES = 350_000
_FRAME_MS = 80
_WIDTH = 800
_GAP, _LINE = 4, 16
_GREYS = 6
_BACKGROUND, _INK = 48, 220


def animate(rows: dict[str, NDArray[np.float32]], names: list[str]) -> bytes:
    """An animated GIF: under its label, each kind of spike trains, one column a class.

    Pixels are enlarged as far as 800 pixels of width allow. Shown are the first 40 frames of the
    longest row, or fewer if they would exceed 350 kB; a shorter row starts again when it is over.
    The largest entry of a row is white, as probabilities may all be small.

    Args:
        rows: by label, spikes or their probabilities, ``(T, B, C, H, W)`` in [0, 1], all of one
            size; of several channels, the brightest shows.
        names: of the ``B`` classes.

    Raises:
        ValueError: if a row does not have one class per name.
    """
    if any(row.shape[1] != len(names) for row in rows.values()):
        raise ValueError(f"there are {len(names)} names; expected one for each class of each row.")
    height, width = next(iter(rows.values())).shape[-2:]
    zoom = max(1, (_WIDTH - _GAP) // len(names) // (width + _GAP))
    cell = (height * zoom, width * zoom)
    base = _base(list(rows), names, cell)
    bright = [row / (row.max() or 1) for row in rows.values()]
    frames = []
    for t in range(min(_MOST_FRAMES, max(map(len, bright)))):
        frame = base.copy()
        for top, row in zip(_tops(len(rows), cell), bright, strict=True):
            for i, picture in enumerate(_enlarged(row[t % len(row)], zoom)):
                frame.paste(picture, (_left(i, cell), top + _LINE))
        frames.append(frame)
    content = _gif(frames)
    if len(content) > _MOST_BYTES:
        content = _gif(frames[: max(1, len(frames) * _MOST_BYTES // len(content))])
    return content


def _gif(frames: list[Image.Image]) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=_FRAME_MS, loop=0
    )
    return buffer.getvalue()


def _base(labels: list[str], names: list[str], cell: tuple[int, int]) -> Image.Image:
    """What stays the same: the classes' names on top, and a label over each row."""
    size = (_left(len(names), cell), _LINE + len(labels) * (_LINE + cell[0]) + _GAP)
    base = Image.new("L", size, _BACKGROUND)
    pen, font = ImageDraw.Draw(base), ImageFont.load_default(11)
    for i, name in enumerate(names):
        middle = _left(i, cell) + cell[1] // 2
        pen.text((middle, _LINE // 2), name, _INK, font, anchor="mm")
    for label, top in zip(labels, _tops(len(labels), cell), strict=True):
        pen.text((_GAP, top + _LINE // 2), label, _INK, font, anchor="lm")
    return base


def _left(column: int, cell: tuple[int, int]) -> int:
    return _GAP + column * (cell[1] + _GAP)


def _tops(rows: int, cell: tuple[int, int]) -> list[int]:
    return [_LINE + i * (_LINE + cell[0]) for i in range(rows)]


def _enlarged(frames: NDArray[np.float32], zoom: int) -> list[Image.Image]:
    """One picture of ``(B, C, H, W)`` each, in few greys: probabilities would not pack well."""
    levels = (frames.max(1) * (_GREYS - 1)).round() * (255 // (_GREYS - 1))
    large = levels.astype(np.uint8).repeat(zoom, 1).repeat(zoom, 2)
    return [Image.fromarray(picture) for picture in large]
