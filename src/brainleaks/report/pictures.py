"""Reconstructions as pictures."""

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brainleaks import atomic

Picture = NDArray[np.uint8]

_SMALLEST_SIDE = 56


def pictures(values: NDArray[np.float32], input_shape: tuple[int, int, int]) -> list[Picture]:
    """One picture a class: spikes as firing rates, each stretched to its own range.

    Args:
        values: as in a run folder, ``(classes, T, 1, D)`` or ``(classes, 1, D)``.
        input_shape: ``(C, H, W)``; channels are averaged.
    """
    rates = values.mean(axis=tuple(range(1, values.ndim - 1)))
    return [stretch(rate.reshape(input_shape).mean(0)) for rate in rates]


def stretch(image: NDArray[np.float32]) -> Picture:
    """Grey values from the image's own minimum to its maximum; a flat image is black."""
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


def write_grid(rows: dict[str, list[Picture]], names: list[str], path: Path) -> None:
    """The figure: one row a kind of picture, one column a class, at most ten columns a band.

    Raises:
        InputError: if ``path`` cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(10, len(names))
    bands = -(-len(names) // columns)
    height, width = next(iter(rows.values()))[0].shape
    figure, axes = plt.subplots(
        bands * len(rows),
        columns,
        figsize=(columns * 1.05 + 1.2, bands * len(rows) * 1.05 * height / width + 0.3 * bands),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for index, name in enumerate(names):
        band, column = divmod(index, columns)
        for offset, (label, row) in enumerate(rows.items()):
            axis = axes[band * len(rows) + offset][column]
            axis.imshow(row[index], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            if offset == 0:
                axis.set_title(name, fontsize=8, pad=2)
            if column == 0:
                axis.text(
                    -0.08, 0.5, label, transform=axis.transAxes, ha="right", va="center", fontsize=8
                )
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=150, metadata={"Software": None})
    plt.close(figure)
    atomic.write_bytes(path, buffer.getvalue())
