"""The event camera: a step edge by hand, what must not change, and real recordings."""

import itertools
import math

import numpy as np
import pytest

from brainleaks.data import DATASETS, digits_events, mnist, nmnist_1k
from brainleaks.data.events import Framing, framed
from brainleaks.data.simulate import Camera, simulate
from brainleaks.errors import InputError

#: Exact: no noise, all pixels alike, light that is sharp and seen at once.
IDEAL = {
    "sensor": (12, 12),
    "rests_us": (),
    "stagger_us": 0.0,
    "blur": 0.01,
    "mismatch": 0.0,
    "latency_us": 0.0,
    "refractory_us": 0.0,
    "noise_hz": 0.0,
}


def record(image, seed=0, camera=None):
    return simulate(np.asarray(image, dtype=float), np.random.default_rng(seed), camera)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def digits():
    return DATASETS["digits"].load(None).train.inputs


def stripes(seed=1):
    """Binary columns, so that light has two levels."""
    columns = np.random.default_rng(seed).integers(0, 2, 12)
    return np.tile(columns, (12, 1)).astype(float)


@pytest.mark.parametrize("black", [0.05, 0.3])
@pytest.mark.parametrize(("darker", "brighter"), [(0.21, 0.3), (0.7, 0.11)])
def test_a_step_edge_by_hand(black, darker, brighter):
    """Ink moves right over row after row of paper, then back: log(light) falls, then rises."""
    camera = Camera(
        **IDEAL,
        track=((-6.0, 0.0), (-3.0, 0.0), (-6.0, 0.0)),
        interval_us=10_000,
        black=black,
        darker=darker,
        brighter=brighter,
    )
    ratio = math.log((1 + black) / black)
    image = np.zeros((12, 12))
    image[:, :10] = 1  # its right edge lies at x = 3.5 first, and at 6.5 after 10 ms
    x, y, t, p = record(image, camera=camera)
    assert set(zip(x.tolist(), y.tolist(), strict=True)) == {
        (column, row) for column in (4, 5, 6) for row in range(12)
    }
    down = math.floor(ratio / darker)
    # the way back takes off from the last level that was remembered
    up = math.floor(down * darker / brighter)
    for column in (4, 5, 6):
        here = (x == column) & (y == 7)
        assert p[here].tolist() == [0] * down + [1] * up
        # give or take a step of the simulation, 1 ms, and a sample of the light, 0.25 pixels
        crossing = (column - 3.5) / 3 * 10_000
        assert np.abs(t[here][:down] - crossing).max() < 1500
        assert np.abs(t[here][down:] - (20_000 - crossing)).max() < 1500


def test_a_still_image_is_silent():
    image = np.random.default_rng(0).random((28, 28))
    camera = Camera(track=((3.0, 3.0),) * 5, noise_hz=0.0)
    assert len(record(image, camera=camera).t) == 0


def test_paper_gives_noise_only():
    events = record(np.zeros((28, 28)))
    expected = Camera().noise_hz * 34 * 34 * Camera().duration_us * 1e-6
    assert abs(len(events.t) - expected) < 5 * math.sqrt(expected)
    assert (events.p == 1).all()


def test_negatives_swap_polarity():
    """Seen by pixels that never see beyond the image's border."""
    track = ((-3.0, -3.0), (-1.0, -2.5), (-3.0, -1.0))
    camera = Camera(
        **{**IDEAL, "sensor": (6, 6)}, track=track, interval_us=10_000, darker=0.2, brighter=0.2
    )
    positive = record(stripes(), camera=camera)
    negative = record(1 - stripes(), camera=camera)
    assert len(positive.t) > 100
    assert sorted(zip(*positive, strict=True)) == sorted(
        (x, y, t, 1 - p) for x, y, t, p in zip(*negative, strict=True)
    )


def test_a_pixel_sleeps_after_an_event():
    events = record(digits_events.enlarged(digits()[:1])[0])
    pixel = events.y.astype(int) * 34 + events.x
    order = np.lexsort((events.t, pixel))
    gaps = np.diff(events.t[order])[np.diff(pixel[order]) == 0]
    # noise knows of no sleep: it is what is left below the refractory time
    assert np.mean(gaps < Camera().refractory_us - 1) < 0.01


def test_the_same_seed_gives_the_same_events():
    image = digits_events.enlarged(digits()[3:4])[0]
    assert same(record(image, seed=5), record(image, seed=5))
    assert not same(record(image, seed=5), record(image, seed=6))


@pytest.mark.parametrize(
    "image", [np.zeros((28, 28, 1)), np.full((28, 28), 1.5), np.full((28, 28), np.nan)]
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(InputError, match="an image to record has"):
        record(image)


def some(source, folder, count):
    return list(itertools.islice(source.recordings(folder), count))


def test_digits_events():
    first, again = (some(digits_events, None, 30) for _ in range(2))
    assert [r.label for r in first] == DATASETS["digits"].load(None).train.labels[:30].tolist()
    for one, other in zip(first, again, strict=True):
        x, y, t, p = one.events
        assert same(one.events, other.events)
        assert x.max() < 34
        assert y.max() < 34
        assert set(np.unique(p)) == {0, 1}
        assert (np.diff(t) >= 0).all()
        assert t[0] >= 0
        assert 500 < len(t) < 9000


def test_a_recording_does_not_depend_on_those_before_it():
    number = 17
    (expected,) = (r.events for r in some(digits_events, None, 30) if r.name == f"{number:05d}")
    image = digits_events.enlarged(digits()[number : number + 1])[0]
    assert same(simulate(image, np.random.default_rng((0, number))), expected)


def test_digits_events_become_frames():
    both = some(digits_events, None, 3)
    recordings = both + [r._replace(part="test") for r in both]
    framing = Framing(frame_us=3000, denoise_us=40_000, polarity="first")
    dataset = framed(
        "digits-events",
        recordings,
        framing,
        sensor=digits_events.SENSOR,
        class_names=digits_events.CLASS_NAMES,
    )
    assert dataset.input_shape == (1, 34, 34)
    assert 95 <= len(dataset.train.inputs[dataset.train.labels[:1] * 0]) <= 110


def counts(events):
    image = np.zeros((34, 34))
    np.add.at(image, (events.y, events.x), 1)
    return image.ravel()


@pytest.mark.data
def test_against_real_recordings(real_data):
    """The last 50 of N-MNIST's first 1,000, on none of which the camera was fitted."""
    images = mnist.load(real_data).train.inputs[:, 0].numpy()
    correlations, sizes = [], []
    for recording in nmnist_1k.recordings(real_data):
        number = int(recording.name)
        if recording.part == "train" and number > 950:
            simulated = record(images[number - 1], seed=number)
            pair = counts(simulated), counts(recording.events)
            correlations.append(np.corrcoef(*pair)[0, 1])
            sizes.append([image.sum() for image in pair])
    assert len(correlations) == 50
    assert np.mean(correlations) > 0.95
    assert np.min(correlations) > 0.9
    ours, real = np.array(sizes).T
    assert 0.93 < ours.sum() / real.sum() < 1.07
    assert np.corrcoef(ours, real)[0, 1] > 0.97
