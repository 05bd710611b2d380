"""What inputs are: what has a picture plane, and what has time."""

from typing import Literal, get_args

#: ``image``: ``(C, H, W)``; ``frames`` of events: ``(T, C, H, W)``; ``stream`` of channels, such as
#: sound, touch or EMG: ``(C, T, N)``, whose rows are time steps.
Signal = Literal["image", "frames", "stream"]

SIGNALS: tuple[Signal, ...] = get_args(Signal)
#: Those with a picture plane at every time step.
PLANAR: tuple[Signal, ...] = ("image", "frames")
