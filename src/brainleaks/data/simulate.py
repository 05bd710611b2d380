"""An event camera that moves before a still image: recordings like N-MNIST's, from any image.

N-MNIST was recorded by a camera that looked at MNIST on a screen while three strokes of about
100 ms moved it along a triangle (Orchard, Jayawant, Cohen and Thakor, "Converting static image
datasets to spiking neuromorphic datasets using saccades", Frontiers in Neuroscience 9, 2015). Each
pixel of such a camera watches the logarithm of its light, and reports an event whenever that has
changed by a threshold since its last one. The defaults are fitted to N-MNIST's first 300 training
recordings; ``docs/simulator.md`` compares the result with others.
"""

import math
from functools import lru_cache
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Len
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from brainleaks.data._sensor import observe
from brainleaks.data.events import Events
from brainleaks.errors import InputError

#: Samples of the light along a pixel's side; between them it is interpolated.
_FINE = 4
_STEP_US = 1000.0
#: Strokes begin early or late by so many standard deviations at most, so that they keep apart.
_LATEST = 3

#: ``(x, y)`` in pixels, every 10 ms: where the centre of an image's first pixel lies in N-MNIST.
_TRACK = (
    (0.53, 1.12), (0.45, 1.28), (0.37, 1.73), (0.36, 2.55), (0.38, 3.77), (0.58, 5.07),
    (1.28, 6.03), (2.01, 6.51), (2.24, 6.59), (2.12, 6.54), (2.13, 6.53), (2.22, 6.57),
    (2.51, 6.45), (3.10, 6.03), (3.89, 5.19), (4.40, 3.90), (4.68, 2.70), (5.13, 1.65),
    (5.42, 1.31), (5.55, 1.31), (5.75, 1.38), (5.96, 1.32), (5.92, 1.35), (5.58, 1.41),
    (4.65, 1.41), (3.62, 1.43), (2.48, 1.39), (1.52, 1.26), (0.92, 1.24), (0.59, 1.23),
    (0.60, 1.25), (0.62, 1.22),
)  # fmt: skip


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Camera:
    """A moving event camera before a screen; the defaults are N-MNIST's, as measured.

    The image is ink on bright paper, and one of its pixels is as large as one of the camera's:
    N-MNIST's polarities and the width of its lines are those of dark digits.

    Args:
        sensor: ``(height, width)`` in pixels.
        track: where on the sensor the centre of the image's first pixel lies, as (x, y) in pixels,
            at equal intervals; in between it moves straight.
        interval_us: the length of such an interval, in microseconds.
        rests_us: from when to when the camera hardly moves, between two strokes, in microseconds.
        stagger_us: standard deviation of how much later or earlier than the track says each stroke
            but the first begins, in microseconds; the rests before and after it take up the
            difference, and the recording ends with the last stroke.
        blur: standard deviation of the lens's Gaussian blur, in pixels.
        black: light of ink, where paper's is 1 + ``black``.
        darker: threshold of an event of polarity 0, as a change of the logarithm of light.
        brighter: threshold of an event of polarity 1.
        mismatch: standard deviation of the logarithm of a pixel's thresholds from pixel to pixel.
        latency_us: time constant of a pixel's low-pass filter, in microseconds; 0 for none.
        refractory_us: how long a pixel sleeps after an event, in microseconds.
        noise_hz: rate of a pixel's events that have no cause, all of polarity 1.
    """

    sensor: tuple[int, int] = (34, 34)
    track: Annotated[tuple[tuple[float, float], ...], Len(2)] = _TRACK
    interval_us: Annotated[int, Ge(1)] = 10_000
    rests_us: tuple[tuple[int, int], ...] = ((80_000, 110_000), (202_000, 220_000))
    stagger_us: Annotated[float, Ge(0)] = 2600.0
    blur: Annotated[float, Gt(0)] = 0.48
    black: Annotated[float, Gt(0)] = 0.119
    darker: Annotated[float, Gt(0)] = 0.248
    brighter: Annotated[float, Gt(0)] = 0.263
    mismatch: Annotated[float, Ge(0)] = 0.1
    latency_us: Annotated[float, Ge(0)] = 2800.0
    refractory_us: Annotated[float, Ge(0)] = 700.0
    noise_hz: Annotated[float, Ge(0)] = 0.35

    @property
    def duration_us(self) -> int:
        """Length of a recording whose strokes begin in time, in microseconds."""
        return (len(self.track) - 1) * self.interval_us


def simulate(
    image: NDArray[np.floating], generator: np.random.Generator, camera: Camera | None = None
) -> Events:
    """Record one image.

    Args:
        image: ``(H, W)`` in [0, 1]: how much ink; around it is paper. What does not fit on the
            sensor is not seen.
        generator: draws when the strokes begin, the pixels' thresholds and the noise.
        camera: N-MNIST's, by default.

    Returns:
        The events in the order of time, in microseconds from the track's begin.

    Raises:
        InputError: if the image has another shape or range.
    """
    camera = camera or Camera()
    if image.ndim != 2 or not image.size:
        raise InputError(f"an image to record has shape {image.shape}; expected (height, width).")
    if not (image.min() >= 0 and image.max() <= 1):
        raise InputError(
            f"an image to record has values from {image.min()} to {image.max()}; expected [0, 1]."
        )
    times, positions = _movement(camera, generator)
    rows = observe(
        _log_light(image, camera),
        _FINE,
        _margin(camera) + 0.5 - 0.5 / _FINE,
        positions,
        _STEP_US,
        _thresholds(camera, generator),
        _follow(camera),
        camera.refractory_us,
    )
    x, y, t, p = np.concatenate([rows, _noise(camera, times[-1], generator)]).T
    order = np.argsort(t, kind="stable")
    return Events(
        x[order].astype(np.uint16), y[order].astype(np.uint16), t[order], p[order].astype(np.uint8)
    )


def _movement(
    camera: Camera, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The times of the simulation's steps, ``(T,)``, and the positions then, ``(T, 2)``."""
    deviates = np.clip(generator.standard_normal(len(camera.rests_us)), -_LATEST, _LATEST)
    late = np.append(0, camera.stagger_us * deviates)
    planned = np.array([0, *np.ravel(camera.rests_us), camera.duration_us], dtype=float)
    happens = planned + np.repeat(late, 2)
    times = np.arange(0, happens[-1] + 1, _STEP_US)
    knots = np.arange(len(camera.track)) * camera.interval_us
    on_track = np.interp(times, happens, planned)
    return times, np.stack([np.interp(on_track, knots, a) for a in np.array(camera.track).T], 1)


def _margin(camera: Camera) -> int:
    """How far around the sensor, in pixels, something may lie that moves into its sight."""
    return math.ceil(float(np.abs(camera.track).max())) + 1


def _log_light(image: NDArray[np.floating], camera: Camera) -> NDArray[np.float64]:
    """Logarithm of the light of the blurred scene, ``_FINE`` samples a pixel each way."""
    rows, columns = (
        _blur(inked, seen, _margin(camera), camera.blur)
        for inked, seen in zip(image.shape, camera.sensor, strict=True)
    )
    light: NDArray[np.float64] = np.log(1 + camera.black - rows @ image @ columns.T)
    return light


@lru_cache(maxsize=8)
def _blur(inked: int, seen: int, margin: int, blur: float) -> NDArray[np.float64]:
    """Share of each image pixel in the light of each sample, along one axis."""
    samples = (np.arange((seen + 2 * margin) * _FINE) + 0.5) / _FINE - margin - 0.5
    edges = np.arange(inked + 1) - 0.5
    away = (edges - samples[:, None]) / (blur * math.sqrt(2))
    shares: NDArray[np.float64] = np.diff(np.vectorize(math.erf)(away), axis=1) / 2
    return shares


def _follow(camera: Camera) -> float:
    return -math.expm1(-_STEP_US / camera.latency_us) if camera.latency_us else 1.0


def _thresholds(camera: Camera, generator: np.random.Generator) -> NDArray[np.float64]:
    """Each pixel's, ``(2, H, W)``, for darker and for brighter."""
    spread = np.exp(camera.mismatch * generator.standard_normal((2, *camera.sensor)))
    thresholds: NDArray[np.float64] = spread * np.reshape(
        [camera.darker, camera.brighter], (2, 1, 1)
    )
    return thresholds


def _noise(camera: Camera, duration_us: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Events without a cause, as rows ``x, y, t, p``."""
    height, width = camera.sensor
    count = generator.poisson(camera.noise_hz * height * width * duration_us * 1e-6)
    drawn = [generator.integers(0, high, count) for high in (width, height, int(duration_us))]
    return np.stack([*drawn, np.ones(count, np.int64)], axis=1)
