"""From images to spikes by other codes than the protocol's, in a form that gradients pass.

Behind each, a spiking network is a function of the image, and is attacked as one
(:class:`brainleaks.networks.views.Coded`).
"""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.signals import Signal

_DARKEST = 0.01


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class DirectCode:
    """The image itself at every time step, as a current.

    Args:
        steps: how many time steps ``T``.
    """

    takes: ClassVar[tuple[Signal, ...]] = ("image",)

    steps: Annotated[int, Ge(1)] = 25
    encoding: Literal["direct"] = "direct"

    def step_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a time step of an image of some shape ``(C, H, W)``."""
        return shape

    def __call__(self, images: Tensor) -> Tensor:
        """Images ``(B, ...)`` to currents ``(T, B, ...)``."""
        return images.expand(self.steps, *images.shape)


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class LatencyCode:
    """One spike a pixel, the earlier the brighter; a pixel below 0.01 does not spike.

    A pixel ``x`` spikes at the time step nearest to ``(1 - x) * (T - 1)``: snnTorch's
    ``spikegen.latency(x, num_steps=T, linear=True, normalize=True, clip=True)``. Gradients are
    those of the linear interpolation between the two time steps next to that time.

    Args:
        steps: length ``T`` of the spike trains.
    """

    takes: ClassVar[tuple[Signal, ...]] = ("image",)

    steps: Annotated[int, Ge(2)] = 25
    encoding: Literal["latency"] = "latency"

    def step_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a time step of an image of some shape ``(C, H, W)``."""
        return shape

    def __call__(self, images: Tensor) -> Tensor:
        """Images ``(B, ...)`` to spikes ``(T, B, ...)``; values beyond [0, 1] count as its ends."""
        seen = images.clamp(0, 1)
        when = (1 - seen) * (self.steps - 1)
        times = torch.arange(self.steps, device=images.device).view(-1, *[1] * images.ndim)
        spikes = ((times == when.round()) & (seen >= _DARKEST)).to(images.dtype)
        soft = (1 - (times - when).abs()).clamp(min=0)
        return spikes + (soft - soft.detach())


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class StreamCode:
    """A recording of channels, such as sound, touch or EMG, one time step after the other.

    As an image a recording is ``(C, T, N)``: its rows are time steps, its columns channels. So
    judges, similarity and pictures see what a spectrogram shows, and attacks smooth over time and
    over neighbouring channels.

    Args:
        steps: length ``T`` of the recordings.
    """

    takes: ClassVar[tuple[Signal, ...]] = ("stream",)

    steps: Annotated[int, Ge(1)]
    encoding: Literal["stream"] = "stream"

    def step_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a time step of recordings of some shape ``(C, T, N)``."""
        return (shape[0], 1, shape[2])

    def __call__(self, images: Tensor) -> Tensor:
        """Recordings ``(B, C, T, N)`` to ``(T, B, C, 1, N)``."""
        return images.movedim(-2, 0).unsqueeze(-2)


#: Codes behind which a spiking network is a function of the image.
IMAGE_CODES = (DirectCode, LatencyCode, StreamCode)
