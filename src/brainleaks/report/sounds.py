"""What recordings of channels sound like, for those that were made of sound."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from brainleaks.data.cochlea import Cochlea
from brainleaks.report.run import CLASS_MEAN, Run

#: Characters of a page for sound.
SOUNDS = 1_500_000
_LOUDEST = 0.9 * (2**15 - 1)


def sounds(run: Run, budget: int = SOUNDS) -> dict[str, Any] | None:
    """The leading attack's reconstructions to listen to, beside what they resemble.

    Returns:
        ``attack``, ``labels``, and ``classes``, each with its ``name`` and one ``data:`` address a
        label, of as many classes as the budget bears; ``None`` if the recordings are not of sound.
    """
    cochlea, attack = run.cochlea, run.leading_attack
    if cochlea is None:
        return None
    made = run.reconstruction(attack).reshape(-1, 1, cochlea.steps, cochlea.channels)
    found: dict[str, NDArray[Any]] = {"reconstruction": made}
    beside = {"nearest training sample": f"{attack}.nearest", "class mean": CLASS_MEAN}
    found |= {label: run.stored[key] for label, key in beside.items() if key in run.stored}
    classes = []
    for i, name in enumerate(run.class_names):
        played = {label: _address(cochlea, values[i]) for label, values in found.items()}
        budget -= sum(map(len, played.values()))
        if budget < 0:
            break
        classes.append({"name": name, "sounds": played})
    return {"attack": attack, "labels": list(found), "classes": classes}


def _address(cochlea: Cochlea, spikes: NDArray[Any]) -> str:
    """A recording ``(1, T, N)`` as a ``.wav`` within the page."""
    sound = cochlea.sound(_stretched(spikes[0]))
    file = io.BytesIO()
    wavfile.write(file, cochlea.sample_rate, (sound * _LOUDEST).astype(np.int16))
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()


def _stretched(values: NDArray[Any]) -> NDArray[Any]:
    """From 0 to 1, as its picture is."""
    low, high = values.min(), values.max()
    stretched: NDArray[Any] = (values - low) / max(high - low, 1e-9)
    return stretched
