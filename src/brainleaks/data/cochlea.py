"""Sound as spikes: mel bands, each with a leaky integrate-and-fire neuron, and back to sound."""

from functools import cached_property
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from scipy.ndimage import gaussian_filter1d
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

_ITERATIONS = 60
_SMOOTH = 1.5
_MOST_SAMPLES = 10_000_000


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Cochlea:
    """Turns sound into spikes of ``channels``, from the lowest to the highest.

    The power spectrum of each step, under a Hann window of two steps, is summed into bands that
    are evenly spaced on the mel scale, ``2595 log10(1 + f / 700)``: triangles that overlap by half.
    A band's level is its power in decibels between ``range_db`` below the loudest power of the
    recording (0) and that power (1). It drives a leaky integrate-and-fire neuron, ``v[t] =
    leak v[t-1] + level[t]``, which fires at 1 and is then lowered by 1. The encoder of the
    Heidelberg data sets is a detailed model of the ear instead (Cramer et al. 2020,
    arXiv 1910.07407).

    Args:
        sample_rate: of the sound, in Hz.
        steps: time steps ``T``; what is longer is cut, what is shorter is followed by silence.
        channels: bands ``N``, from 60 Hz to half the sample rate.
        step_ms: duration of a time step.
        range_db: the softest level that is heard, below the loudest.
        leak: of the neurons, for each time step; a steady level below ``1 - leak`` is not heard.
    """

    sample_rate: Annotated[int, Ge(1000), Le(400_000)]
    steps: Annotated[int, Ge(1)] = 80
    channels: Annotated[int, Ge(1), Le(1024)] = 40
    step_ms: Annotated[float, Gt(0)] = 10.0
    range_db: Annotated[float, Gt(0)] = 50.0
    leak: Annotated[float, Ge(0), Le(1)] = 0.9

    def spikes(self, sound: NDArray[Any]) -> NDArray[np.uint8]:
        """Samples ``(S,)`` of any scale to ones and zeros, ``(T, N)``; silence has no spikes."""
        level = self.levels(sound)
        spikes = np.zeros(level.shape, np.uint8)
        membrane = np.zeros(self.channels)
        for now, fired in zip(level, spikes, strict=True):
            membrane = self.leak * membrane + now
            fired[:] = membrane >= 1
            membrane -= fired
        return spikes

    def levels(self, sound: NDArray[Any]) -> NDArray[np.float64]:
        """What drives the neurons: ``(T, N)`` in [0, 1]."""
        kept = np.zeros(self._samples)
        heard = sound[: len(kept)]
        kept[: len(heard)] = heard
        spectrum = self._transform.stft(kept, p0=0, p1=self.steps)
        power = (np.abs(spectrum).T ** 2) @ self._bands.T
        if not power.any():
            return np.zeros_like(power)
        decibels = 10 * np.log10(np.maximum(power / power.max(), 1e-12))
        level: NDArray[np.float64] = np.clip(1 + decibels / self.range_db, 0, 1)
        return level

    def sound(self, spikes: NDArray[Any]) -> NDArray[np.float32]:
        """A sound, ``(S,)`` in [-1, 1], whose spikes are nearly these, ``(T, N)`` in [0, 1].

        The levels are the smoothed spikes; the phases that they do not hold are those that fit
        them (Griffin and Lim 1984).
        """
        level = gaussian_filter1d(np.asarray(spikes, np.float64), _SMOOTH, axis=0)
        # a neuron that leaks fires less than its level says
        level = np.clip((1 - self.leak) * (level > 0.02) + level, 0, 1)
        power = 10 ** ((level - 1) * self.range_db / 10) * (level > 0)
        size = np.sqrt((power / self._bands.sum(1)) @ self._bands).T
        transform = self._transform
        phase = np.exp(2j * np.pi * np.random.default_rng(0).random(size.shape))
        for _ in range(_ITERATIONS):
            sound = transform.istft(size * phase, k1=self._samples)
            found = transform.stft(sound, p0=0, p1=self.steps)
            phase = np.exp(1j * np.angle(found))
        return np.asarray(sound / max(1e-9, np.abs(sound).max()), np.float32)

    @property
    def playable(self) -> bool:
        """Whether the sound is short enough for a page."""
        return self._samples <= _MOST_SAMPLES

    @property
    def _samples(self) -> int:
        return self.steps * int(self._transform.hop)

    @cached_property
    def _transform(self) -> ShortTimeFFT:
        hop = max(1, round(self.sample_rate * self.step_ms / 1000))
        size = 1 << (2 * hop - 1).bit_length()
        return ShortTimeFFT(hann(2 * hop, sym=False), hop, self.sample_rate, mfft=size)

    @cached_property
    def _bands(self) -> NDArray[np.float64]:
        """Triangles ``(N, F)`` over the frequencies."""

        def mel(hertz: Any) -> Any:
            return 2595 * np.log10(1 + np.asarray(hertz) / 700)

        corners = np.linspace(mel(60), mel(self.sample_rate / 2), self.channels + 2)
        low, middle, high = (corners[i : i + self.channels, None] for i in range(3))
        at = mel(self._transform.f)
        heights: NDArray[np.float64] = np.minimum(
            (at - low) / (middle - low), (high - at) / (high - middle)
        )
        return heights.clip(0)
