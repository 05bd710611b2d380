"""Weights that are still exactly what torch's generator drew, and the bits of those draws.

``tensor.uniform_(low, high)`` in float32 takes the low 24 bits ``v`` of an output of the generator
and returns ``v / 2**24 * (high - low) + low``, rounded once where the processor fuses the product
and the sum, else twice. A weight that was never updated is such a value to the bit.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BITS = 24
#: Neighbours of the nearest whole number that may give the same weight.
_NEAR = (-2, -1, 0, 1, 2)
#: How unlikely, in bits, it must be that a trained input's or unit's weights look drawn by chance,
#: beside the number of inputs or units that are tried.
_SURE_BITS = 12.0
_ROUND_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
#: So many rows decide which initialiser is tried on all of them.
_SCREENED = 64


@dataclass(frozen=True)
class Uniform:
    """How a tensor was drawn: ``tensor.uniform_(low, high)``.

    Args:
        name: the initialiser, for people.
        low, high: its range.
        fused: whether the product and the sum were rounded once.
    """

    name: str
    low: float
    high: float
    fused: bool = True

    def __call__(self, outputs: NDArray[np.integer]) -> Floats:
        """What torch makes of outputs of the generator."""
        x = (np.asarray(outputs) & ((1 << BITS) - 1)).astype(np.float32) * np.float32(2.0**-BITS)
        low = np.float32(self.low)
        span = np.float32(self.high) - low
        if self.fused:  # exact in float64 until it is rounded
            return (x.astype(np.float64) * np.float64(span) + np.float64(low)).astype(np.float32)
        return x * span + low

    def invert(self, weights: Floats) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The low 24 bits that give each weight, and which of them are certain.

        Returns:
            Bits and masks, of the weights' shape. No bit is certain of a weight that no draw gives.
        """
        span = np.float64(np.float32(self.high) - np.float32(self.low))
        places = (weights.astype(np.float64) - np.float64(np.float32(self.low))) / span
        nearest = np.rint(np.clip(np.nan_to_num(places), -1, 2) * 2.0**BITS).astype(np.int64)
        every, some, found = (np.zeros(weights.shape, np.int64) for _ in range(3))
        every += (1 << BITS) - 1
        for step in _NEAR:
            bits = nearest + step
            valid = (bits >= 0) & (bits < 1 << BITS) & (self(bits) == weights)
            every = np.where(valid, every & bits, every)
            some = np.where(valid, some | bits, some)
            found |= valid
        found &= weights != 0  # pruned or decayed: one draw in 16 million is 0
        certain = np.where(found, ~(every ^ some) & ((1 << BITS) - 1), 0)
        return some.astype(np.uint32), certain.astype(np.uint32)

    def evidence(self, weights: Floats) -> NDArray[np.float64]:
        """For each weight, minus the binary logarithm of the chance that any float is drawable."""
        step = (self.high - self.low) * 2.0**-BITS
        chance = np.spacing(np.abs(weights)).astype(np.float64) / step
        return -np.log2(np.clip(chance, 2.0**-30, 1.0))


@dataclass(frozen=True)
class Drawn:
    """What of a tensor is still as it was drawn.

    Args:
        uniform: the initialiser.
        inputs: number of inputs (channels of a convolution) none of whose weights changed.
        units: number of output units none of whose weights changed.
        positions: ``(K,)``, places of the unchanged weights in the flattened tensor, in order.
        bits, certain: ``(K,)``, their draws and which of the 24 bits are certain.
    """

    uniform: Uniform
    inputs: int
    units: int
    positions: NDArray[np.int64]
    bits: NDArray[np.uint32]
    certain: NDArray[np.uint32]


def uniforms(shape: tuple[int, ...]) -> list[Uniform]:
    """The uniform initialisers in use for a weight ``(out, in, ...)``, the most common first."""
    space = math.prod(shape[2:])
    fan_in, fan_out = max(1, shape[1] * space), max(1, shape[0] * space)
    third = math.sqrt(3.0)
    bounds = {
        "torch's default, kaiming_uniform_(a=sqrt(5))": third
        * (math.sqrt(2.0 / 6.0) / math.sqrt(fan_in)),
        "xavier_uniform_": third * (1.0 * math.sqrt(2.0 / (fan_in + fan_out))),
        "kaiming_uniform_": third * (math.sqrt(2.0) / math.sqrt(fan_in)),
        "kaiming_uniform_(nonlinearity='linear')": third * (1.0 / math.sqrt(fan_in)),
        "kaiming_uniform_(mode='fan_out')": third * (math.sqrt(2.0) / math.sqrt(fan_out)),
        "xavier_uniform_(gain=sqrt(2))": third
        * (math.sqrt(2.0) * math.sqrt(2.0 / (fan_in + fan_out))),
        "xavier_uniform_(gain=5/3)": third * (5 / 3 * math.sqrt(2.0 / (fan_in + fan_out))),
        "uniform_ by the number of outputs": 1.0 / math.sqrt(fan_out),
    }
    named = [Uniform(name, -bound, bound) for name, bound in bounds.items()]
    named += [Uniform(f"uniform_(-{b}, {b})", -b, b) for b in _ROUND_BOUNDS]
    return [*named, Uniform("uniform_(0, 1)", 0.0, 1.0)]


def unchanged(weight: Floats) -> Drawn | None:
    """Find the inputs and units of a layer whose weights are all as they were drawn.

    Args:
        weight: ``(out, in, ...)``, at least two dimensions.

    Returns:
        What is known of the draws, or ``None`` if no input and no unit looks untouched.
    """
    layer = weight.reshape(*weight.shape[:2], -1)
    for plain in uniforms(weight.shape):
        for fused in (True, False):
            uniform = Uniform(plain.name, plain.low, plain.high, fused)
            if _any(uniform, layer[:_SCREENED]) or _any(uniform, layer[:, :_SCREENED]):
                found = _of(uniform, layer)
                if found is not None:
                    return found
    return None


def _any(uniform: Uniform, layer: Floats) -> bool:
    certain = uniform.invert(layer)[1] > 0
    return any(mask.any() for mask in _whole(uniform, layer, certain))


def _of(uniform: Uniform, layer: Floats) -> Drawn | None:
    bits, certain = uniform.invert(layer)
    inputs, units = _whole(uniform, layer, certain > 0)
    untouched = np.broadcast_to(units[:, None, None] | inputs[None, :, None], layer.shape)
    positions = untouched.ravel().nonzero()[0]
    if 2 * len(np.unique(layer.ravel()[positions])) <= len(positions):  # none, or constants
        return None
    known = bits.ravel()[positions], certain.ravel()[positions]
    return Drawn(uniform, int(inputs.sum()), int(units.sum()), positions, *known)


def _whole(
    uniform: Uniform, layer: Floats, drawable: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Inputs ``(in,)`` and units ``(out,)`` whose weights are all drawable, beyond chance."""
    bits = np.where(drawable, uniform.evidence(layer), -np.inf)
    sure = [_SURE_BITS + math.log2(count) for count in layer.shape[:2]]
    return bits.sum((0, 2)) > sure[1], bits.sum((1, 2)) > sure[0]
