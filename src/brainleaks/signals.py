"""The shapes that inputs come in: what has a picture plane, and what has time."""

from typing import Literal, get_args

#: ``image``: ``(C, H, W)``; ``frames`` of events: ``(T, C, H, W)``; ``stream`` of channels, such as
#: sound, touch or EMG: ``(T, N)``.
Signal = Literal["image", "frames", "stream"]

SIGNALS: tuple[Signal, ...] = get_args(Signal)
#: Those with a picture plane, which convolutions, blurs, SSIM, total variation and pictures need.
PLANAR: tuple[Signal, ...] = ("image", "frames")


def signal_of(shape: tuple[int, ...], *, recorded: bool) -> Signal:
    """The signal of inputs of this shape, without time, that are recordings or are not."""
    if not recorded:
        return "image"
    return "frames" if len(shape) == 3 else "stream"
