"""Reconstructions of events as recordings, for the page's player."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from brainleaks.report.gallery import TRUTH
from brainleaks.report.images import MOST_FRAMES, Sprite, sprites
from brainleaks.report.run import Run, Values

#: Characters of a page for recordings; with its pictures, it stays under 5 MB.
RECORDINGS = 2_000_000


#: Spikes or their probabilities, ``(T, H, W)``.
Recording = NDArray[np.float32]


class Film(NamedTuple):
    """What a player shows: a training sample a class, and what each attack made, by label."""

    real: list[Recording]
    made: dict[str, list[Recording]]
    frame_us: int


def filmed(run: Run, values: Values) -> list[Recording]:
    """A recording a class: where either polarity fires."""
    shape = run.results["dataset"]["input_shape"]
    return [one.reshape(-1, *shape).max(1) for one in values]


def recordings(film: Film, names: list[str], budget: int) -> dict[str, Any]:
    """What the player plays, class by class, within so many characters."""
    rows = {f"first {TRUTH}": film.real} | film.made
    longest = min(MOST_FRAMES, max(len(row[0]) for row in film.made.values()))
    classes = range(len(names))
    played = iter(sprites([row[i][:longest] for i in classes for row in rows.values()], budget))
    made: list[dict[str, Sprite]] = [{label: next(played) for label in rows} for _ in classes]
    frames = max(sprite.frames for row in made for sprite in row.values())
    width = film.real[0].shape[-1]
    return {
        "frames": frames,
        "frame_ms": film.frame_us / 1000 * longest / frames,
        "coarser": frames < longest or next(iter(made[0].values())).width < width,
        "classes": dict(zip(names, made, strict=True)),
    }
