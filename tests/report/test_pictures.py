"""The figures and the animation: what is drawn is what was given."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image, ImageSequence

from brainleaks.report import svg
from brainleaks.report.animation import animate
from brainleaks.report.figures import curves, grid, matrices, pictures
from brainleaks.report.images import still_uris
from brainleaks.report.metrics import progress


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def frames(content: bytes) -> list[np.ndarray]:
    return [np.asarray(f.convert("L")) for f in ImageSequence.Iterator(opened(content))]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).round().astype(np.float32)


def test_a_spike_lights_up_its_pixels_in_its_frame_alone():
    spikes = np.zeros((3, 2, 1, 5, 6), np.float32)
    spikes[1, 1, 0, 4, 0] = 1  # second frame, second class, bottom left
    dark, lit, after = frames(animate({"kind": spikes}, ["a", "b"]))
    assert (dark == after).all()
    rows, columns = np.nonzero(lit != dark)
    zoom = (800 - 4) // 2 // (6 + 4)
    assert len(rows) == zoom * zoom
    assert (rows.min(), columns.min()) == (32 + 4 * zoom, 4 + 6 * zoom + 4)
    assert (lit[rows, columns] == 255).all()
    assert (dark[rows, columns] == 0).all()


def test_three_channels_are_colours():
    values = np.zeros((2, 1, 3 * 4 * 6), np.float32)
    values[:, 0, : 4 * 6] = 0.5  # the first channel alone
    shown = pictures(values, (3, 4, 6))
    assert [picture.shape for picture in shown] == [(4, 6, 3)] * 2
    assert (shown[0] == [255, 0, 0]).all()
    (uri, _) = still_uris(shown, 100_000)
    image = opened(base64.b64decode(uri.partition(",")[2]))
    assert (image.mode, image.getpixel((2, 2))) == ("RGB", (255, 0, 0))
    small = still_uris([np.random.default_rng(0).integers(0, 256, (60, 64, 3), np.uint8)], 10)
    assert opened(base64.b64decode(small[0].partition(",")[2])).size == (16, 15)
    drawn = np.asarray(opened(grid({"made": shown}, ["a", "b"])).convert("RGB"))
    assert (drawn == [255, 0, 0]).all(2).any()


def test_a_short_recording_starts_again():
    long, short = np.zeros((4, 1, 1, 5, 5), np.float32), np.zeros((2, 1, 1, 5, 5), np.float32)
    short[0] = 1
    first, second, third, fourth = frames(animate({"long": long, "short": short}, ["a"]))
    assert (first == third).all()
    assert (second == fourth).all()
    assert (first != second).any()


def test_small_probabilities_show_and_silence_stays_dark():
    rates = np.full((1, 1, 1, 5, 5), 0.001, np.float32)
    (still,) = frames(animate({"rates": rates, "silence": 0 * rates}, ["a"]))
    height = (800 - 4) // (5 + 4) * 5
    assert (still[32 : 32 + height, 4 : 4 + height] == 255).all()
    assert (still[48 + height : 48 + 2 * height, 4 : 4 + height] == 0).all()


def test_an_animation_is_bounded_in_frames_and_bytes():
    assert len(frames(animate({"quiet": noise(60, 1, 1, 8, 8)}, ["a"]))) == 40
    content = animate({str(i): noise(40, 4, 1, 128, 128) for i in range(3)}, list("abcd"))
    assert 250_000 < len(content) < 400_000


def test_an_animation_needs_a_name_a_class():
    with pytest.raises(ValueError, match="there are 1 names"):
        animate({"kind": noise(2, 2, 1, 5, 5)}, ["a"])


def test_a_grid_wraps_after_ten_classes():
    pictures = [np.full((8, 8), 200, np.uint8)] * 12
    names = [str(i) for i in range(12)]
    wide = opened(grid({"kind": pictures}, names))
    one_band = opened(grid({"kind": pictures[:10]}, names[:10]))
    assert wide.width == one_band.width
    assert wide.height > 1.8 * one_band.height


def test_a_matrix_is_as_dark_as_it_is_confident():
    names = [str(i) for i in range(10)]
    sure, unsure = np.eye(10, dtype=np.float32), np.full((10, 10), 0.1, np.float32)
    picture = np.asarray(opened(matrices({"sure": sure, "unsure": unsure}, names)).convert("L"))
    left, right = np.array_split(picture[:, : int(picture.shape[1] * 0.88)], 2, axis=1)
    assert (left < 80).sum() > 3 * (right < 80).sum()


def test_each_curve_has_its_own_plot():
    one = opened(curves({"target": [{"loss": 1.0}, {"loss": 0.5}]}, steps="epoch"))
    two = opened(curves({"target": [{"loss": 1.0}], "attack": [{"cost": 1.0}]}, steps="epoch"))
    assert two.width == 2 * one.width


def test_each_quantity_has_its_own_scale():
    """A loss of 19 beside an accuracy of 0.9 would flatten it."""
    losses = [{"loss": 19.0, "accuracy": 0.2}, {"loss": 3.0, "accuracy": 0.9}]
    one = opened(curves({"target": [{"loss": 1.0}], "other": [{"loss": 1.0}]}, steps="epoch"))
    two = opened(curves({"target": losses, "attack": [{"cost": 1.0}]}, steps="epoch"))
    assert two.height > 1.5 * one.height
    drawn = svg.curve(losses, unit="epoch", name="chart", text="")
    assert all(f">{label}</text>" in drawn for label in ("loss", "accuracy", "0.8"))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_short_curve_counts_its_steps(steps):
    """There is no epoch 1.5, and a single one has one mark."""
    losses = [{"loss": 1 / (i + 1)} for i in range(steps)]
    drawn = svg.curve(losses, unit="epoch", name="chart", text="")
    marks, _, _ = drawn.partition(">epoch</text>")
    assert re.findall(r">([^<>\s]+)</text>", marks) == [str(i + 1) for i in range(steps)]


def test_who_pays_for_queries_goes_along_them():
    steps = [{"queries": 100.0, "confidence": 0.1}, {"queries": 300.0, "confidence": 0.7}]
    assert progress(steps, "iteration") == ("queries", [100, 300], {"confidence": [0.1, 0.7]})
    assert progress([{"loss": 2.0}, {"loss": 1.0}], "epoch") == ("epoch", [1, 2], {"loss": [2, 1]})
