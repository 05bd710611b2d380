"""Reconstructions as pictures, and the figures made of them."""

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from brainleaks.files import atomic
from brainleaks.report.metrics import progress

#: Grey values ``(H, W)``, or colours ``(H, W, 3)``.
Picture = NDArray[np.uint8]

#: A class may be called anything, and `$x^$` is no formula.
_WORDS: Any = {"text.parse_math": False}
_SMALLEST_SIDE = 56
_TITLE_WIDTH = 14  # letters that fit over a picture of a grid


class Drawing(Figure):
    """A figure that a notebook shows, whether or not pyplot was imported."""

    def _repr_png_(self) -> bytes:
        return _png(self)


def pictures(values: NDArray[np.float32], input_shape: tuple[int, int, int]) -> list[Picture]:
    """One picture per class of a planar signal: spikes as firing rates, scaled to its own range.

    Args:
        values: as in a run folder, ``(classes, T, 1, D)`` or ``(classes, 1, D)``.
        input_shape: ``(C, H, W)``; a channel stream has no picture plane, and no picture.
    """
    rates = values.mean(axis=tuple(range(1, values.ndim - 1)))
    return [picture(rate.reshape(input_shape)) for rate in rates]


def picture(image: NDArray[np.float32]) -> Picture:
    """``(C, H, W)`` to look at: three channels are colours, others are averaged."""
    return stretch(image.transpose(1, 2, 0) if len(image) == 3 else image.mean(0))


def stretch(image: NDArray[np.float32]) -> Picture:
    """Values from the image's own minimum to its maximum; a flat image is black."""
    low, high = float(image.min()), float(image.max())
    scaled = (image - low) / (high - low) if high > low else np.zeros_like(image)
    return (scaled * 255).round().astype(np.uint8)


def data_uri(picture: Picture) -> str:
    """A PNG for an ``<img>``; small pictures are enlarged, pixel by pixel."""
    image = Image.fromarray(picture)
    zoom = max(1, -(-_SMALLEST_SIDE // min(image.size)))
    enlarged = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    enlarged.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@rc_context(_WORDS)
def grid(rows: dict[str, list[Picture]], names: list[str], *, dpi: int = 100) -> bytes:
    """A PNG: one row a kind of picture, one column a class, at most ten columns a band."""
    drawn = _png(figure_of_grid(rows, names, dpi=dpi), dpi)
    return drawn if next(iter(rows.values()))[0].ndim == 3 else _grey(drawn)


@rc_context(_WORDS)
def figure_of_grid(rows: dict[str, list[Picture]], names: list[str], *, dpi: int = 100) -> Figure:
    """The figure of :func:`grid`."""
    columns = min(10, len(names))
    bands = -(-len(names) // columns)
    first = next(iter(rows.values()))[0]
    height, width = first.shape[:2]
    figure, axes = _figure(
        (bands * len(rows), columns),
        (columns * 1.05 + 1.2, bands * len(rows) * 1.05 * height / width + 0.3 * bands),
    )
    for axis in axes.flat:
        axis.set_axis_off()
    smoothing = "nearest" if width < dpi / 2 else "antialiased"  # large ones are made smaller
    for index, name in enumerate(names):
        band, column = divmod(index, columns)
        for offset, (label, row) in enumerate(rows.items()):
            axis = axes[band * len(rows) + offset][column]
            axis.imshow(row[index], cmap="gray", vmin=0, vmax=255, interpolation=smoothing)
            if offset == 0:
                axis.set_title(textwrap.fill(name, _TITLE_WIDTH), fontsize=8, pad=2)
            if column == 0:
                axis.text(
                    -0.08, 0.5, label, transform=axis.transAxes, ha="right", va="center", fontsize=8
                )
    return figure


def write_grid(rows: dict[str, list[Picture]], names: list[str], path: Path) -> None:
    """Write :func:`grid` to a file.

    Raises:
        InputError: if ``path`` cannot be written.
    """
    atomic.write_bytes(path, grid(rows, names, dpi=150))


@rc_context(_WORDS)
def figure_of_levels(levels: Sequence[Mapping[str, Any]]) -> Figure:
    """The levels of a verdict: what was measured of each, with its interval.

    Args:
        levels: as the verdict has them; those without a value are named alone.
    """
    figure, axes = _figure((1, 1), (6.4, 0.6 + 0.5 * len(levels)))
    axis = axes[0][0]
    for place, rung in enumerate(levels):
        if rung["value"] is not None:
            axis.plot([rung["low"], rung["high"]], [place] * 2, color="0.6", linewidth=3)
            axis.plot([rung["value"]], [place], "o", color="black")
    named = [f"{rung['level']} {rung['name']}: {rung['status']}" for rung in levels]
    axis.set_yticks(range(len(levels)), named, fontsize=9)
    axis.set_ylim(len(levels) - 0.5, -0.5)
    axis.axvline(0, color="0.8", linewidth=1, zorder=0)
    axis.set_xlabel("measured, with its interval", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


@rc_context(_WORDS)
def matrices(named: dict[str, NDArray[np.float32]], classes: list[str]) -> bytes:
    """A PNG: confidence matrices side by side, their scale from 0 to 1.

    Args:
        named: ``(C, C)`` each, by title; row ``i`` is the reconstruction made for class ``i``.
        classes: the names of the ``C`` classes.
    """
    few = len(classes) <= 10
    side, size = (3.2, 8) if few else (5.6, 5.5)
    labels = max(map(len, classes)) * size / 120  # inches: about 0.6 of its size a letter
    upright = labels > 0.9 * side / len(classes)
    inches = (side * len(named) + labels + 0.8, side + labels + 0.7)
    figure, axes = _figure((1, len(named)), inches)
    for axis, (title, matrix) in zip(axes[0], named.items(), strict=True):
        image = axis.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
        axis.set_title(title, fontsize=10)
        axis.set_xticks(range(len(classes)), classes, fontsize=size)
        axis.tick_params("x", rotation=90 if upright else 0)
        axis.set_yticks([])
        axis.set_xlabel("confidence that it is class", fontsize=8)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    axes[0][0].set_yticks(range(len(classes)), classes, fontsize=size)
    axes[0][0].set_ylabel("should be class", fontsize=8)
    bar = figure.colorbar(image, ax=axes[0].tolist(), shrink=0.8, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0)
    return _png(figure)


@rc_context(_WORDS)
def curves(named: dict[str, list[dict[str, float]]], *, steps: str) -> bytes:
    """A PNG: how jobs fared, one small plot each.

    Args:
        named: by title, one entry a step, such as ``{"loss": 0.3}``.
        steps: what a step is called, such as ``"epoch"``.
    """
    fared = {title: progress(curve, steps) for title, curve in named.items()}
    rows = max(len(quantities) for _, _, quantities in fared.values())
    figure, axes = _figure((rows, len(named)), (3.6 * len(named), 0.6 + 1.8 * rows))
    for column, (title, (unit, places, quantities)) in zip(axes.T, fared.items(), strict=True):
        marker = "o" if len(places) <= 50 else ""
        column[0].set_title(title, fontsize=10)
        for axis, (key, values) in zip(column, quantities.items(), strict=False):
            axis.plot(places, values, marker=marker, markersize=3, linewidth=1.5)
            axis.set_ylabel(key, fontsize=9)
            axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            axis.tick_params(labelsize=8, length=2)
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(alpha=0.25)
        column[len(quantities) - 1].set_xlabel(unit, fontsize=9)
        for axis in column[len(quantities) :]:
            axis.set_axis_off()
    return _png(figure)


def _figure(shape: tuple[int, int], inches: tuple[float, float]) -> tuple[Figure, Any]:
    """A figure and its ``shape`` of axes; without pyplot, whose backend is the caller's choice."""
    figure = Drawing(figsize=inches, layout="constrained")
    return figure, figure.subplots(*shape, squeeze=False)


def _png(figure: Figure, dpi: int = 100) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _grey(png: bytes) -> bytes:
    """The same picture without its equal colours, in half the bytes."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("L").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
