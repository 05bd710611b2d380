"""Where in the generator's stream the tensors of a network were drawn, and their first values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from brainleaks.attacks.beginning.draws import BITS, Floats, Uniform, uniforms

#: How many standard deviations of chance the best of all places must exceed.
_SURE_DEVIATIONS = 7.0
#: The same of the biases, whose place is known.
_LIKELY_DEVIATIONS = 3.0
#: So many values of a tensor are compared with the stream.
_COMPARED = 1 << 16
#: So many equal values are no chance.
CERTAIN = 2


@dataclass(frozen=True)
class Redrawn:
    """A tensor as it was drawn.

    Args:
        values: its initial values.
        place: number of outputs of the stream before its first.
        initialiser: how it was drawn.
        unchanged: number of its trained values that still equal the initial ones to the bit.
        correlation: between its initial and its trained values.
    """

    values: Floats
    place: int
    initialiser: str
    unchanged: int
    correlation: float


def redraw(stream: NDArray[np.uint32], trained: Floats, place: int, uniform: Uniform) -> Redrawn:
    """A tensor drawn again at a place of the stream, compared with its trained values."""
    values = uniform(stream[place : place + trained.size]).reshape(trained.shape)
    varied = trained.size > 1 and trained.std() > 0
    correlation = np.corrcoef(values.ravel(), trained.ravel())[0, 1] if varied else 0.0
    same = int((values == trained).sum())
    return Redrawn(values, place, uniform.name, same, float(correlation))


def redraw_all(
    stream: NDArray[np.uint32], trained: dict[str, Floats], known: tuple[str, int, Uniform]
) -> dict[str, Redrawn]:
    """All tensors that were drawn within the stream.

    A weight is found where the stream correlates with it; training changes weights, but seldom so
    much that this vanishes. A bias is drawn right after its weight.

    Args:
        stream: outputs of the generator.
        trained: the network's tensors.
        known: name, place and initialiser of one of them.
    """
    found = {known[0]: redraw(stream, trained[known[0]], known[1], known[2])}
    numbers = (stream & ((1 << BITS) - 1)).astype(np.float32) * np.float32(2.0**-BITS) - 0.5
    for name, tensor in trained.items():
        if name not in found and tensor.ndim > 1:
            place = _place(numbers, tensor)
            if place is not None:
                uniform = initialiser(stream[place : place + tensor.size], tensor, known[2])
                found[name] = redraw(stream, tensor, place, uniform)
    found |= _biases(stream, trained, found, known[2].fused)
    return {name: found[name] for name in trained if name in found}


def _place(numbers: NDArray[np.float32], tensor: Floats) -> int | None:
    """Where the stream is like the tensor beyond chance, if anywhere."""
    flat = tensor.ravel()[:_COMPARED]
    flat = flat - flat.mean()
    norm = float(np.linalg.norm(flat))
    if norm == 0 or flat.size < _SURE_DEVIATIONS**2 or tensor.size > numbers.size:
        return None
    numbers = numbers[: numbers.size - (tensor.size - flat.size)]
    likeness = oaconvolve(numbers, flat[::-1], mode="valid")
    best = int(likeness.argmax())
    sure = likeness[best] > _SURE_DEVIATIONS * norm / np.sqrt(12.0)
    return best if sure else None


def initialiser(outputs: NDArray[np.uint32], trained: Floats, like: Uniform) -> Uniform:
    """The initialiser that made a trained tensor from these outputs.

    Values that never changed decide. Without them, it is taken to be that of another layer: trained
    values do not tell, as training often makes weights several times larger.

    Args:
        outputs: as many as the tensor has values.
        trained: the tensor.
        like: the other layer's initialiser.
    """
    named = [Uniform(u.name, u.low, u.high, like.fused) for u in uniforms(trained.shape)]
    shaped = outputs.reshape(trained.shape)
    same = [int((uniform(shaped) == trained).sum()) for uniform in named]
    if max(same) >= CERTAIN:
        return named[same.index(max(same))]
    return next((uniform for uniform in named if uniform.name == like.name), named[0])


def _biases(
    stream: NDArray[np.uint32],
    trained: dict[str, Floats],
    weights: dict[str, Redrawn],
    fused: bool,
) -> dict[str, Redrawn]:
    """The layers' biases, if they were drawn after their weights as torch does, and not set to 0.

    All are, if together they are like the trained values beyond chance.
    """
    starts = {weight.place for weight in weights.values()}
    found = dict[str, Redrawn]()
    for name, weight in weights.items():
        label = f"{name.removesuffix('weight')}bias"
        bias, place = trained.get(label), weight.place + weight.values.size
        if not name.endswith("weight") or bias is None or bias.ndim != 1 or not bias.any():
            continue
        if starts & set(range(place, place + bias.size)):
            continue  # something else was drawn there
        bound = 1.0 / np.sqrt(weight.values[0].size)
        uniform = Uniform("torch's default for a bias", -bound, bound, fused)
        found[label] = redraw(stream, bias, place, uniform)
    sizes = [bias.values.size for bias in found.values()]
    like = sum(bias.values.size * bias.correlation for bias in found.values())
    return found if like > _LIKELY_DEVIATIONS * np.sqrt(sum(sizes)) else {}
