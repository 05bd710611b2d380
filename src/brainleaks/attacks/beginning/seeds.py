"""Which of the 2^32 seeds of torch's CPU generator gives what is known of its first draws.

Output ``k`` of a fresh MT19937 needs the words ``k``, ``k + 1`` and ``k + 397`` of its seeding
recurrence and no more, if ``k < 227``. Many seeds run through it side by side, so that the compiled
loop works on as many at a time as the processor's registers hold.
"""

import os
from collections.abc import Callable, Iterator

import numba
import numpy as np
from numpy.typing import NDArray

from brainleaks.attacks.beginning.mersenne import MIDDLE, SIZE, draw, seeded

#: So many draws are made from the seeding recurrence itself.
FIRST = SIZE - MIDDLE
ALL_SEEDS = 1 << 32

_LANES, _WIDE = 1024, 512
#: Seeds between two reports of progress.
_CHUNK = 1 << 24
#: The share of known draws that must agree: a trained weight may look untouched by chance.
_AGREEING = 0.9
#: How many standard deviations of chance the best of 2^32 seeds must exceed.
_SURE_DEVIATIONS = 7.0
_FACTOR, _BITS_30, _ONE = np.uint32(1812433253), np.uint32(30), np.uint32(1)

Said = Callable[[int], None]


@numba.njit(cache=True, error_model="numpy")
def _seeding(states, first, last):
    """Steps ``first`` to ``last - 1`` of the seeding recurrence, in place, for many seeds."""
    for j in range(first, last):
        step = np.uint32(j)
        for i in range(states.size):
            x = states[i]
            states[i] = np.uint32(_FACTOR * np.uint32(x ^ np.uint32(x >> _BITS_30))) + step


@numba.njit(cache=True, error_model="numpy")
def _next(before, now, step):
    """One step of it, from one array to another."""
    for i in range(now.size):
        x = before[i]
        now[i] = np.uint32(_FACTOR * np.uint32(x ^ np.uint32(x >> _BITS_30))) + step


@numba.njit(cache=True, error_model="numpy")
def _outputs(word, following, far, out):
    """Tempered outputs of the words ``k``, ``k + 1`` and ``k + 397``."""
    for i in range(out.size):
        low = following[i]
        y = (word[i] & np.uint32(0x80000000)) | (low & np.uint32(0x7FFFFFFF))
        y = far[i] ^ np.uint32(y >> _ONE) ^ np.uint32(np.uint32(0x9908B0DF) * (low & _ONE))
        y ^= np.uint32(y >> np.uint32(11))
        y ^= np.uint32(y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= np.uint32(y << np.uint32(15)) & np.uint32(0xEFC60000)
        out[i] = y ^ np.uint32(y >> np.uint32(18))


@numba.njit(cache=True, error_model="numpy")
def _add(outputs, weight, sums):
    """Add ``weight`` times the uniform number of each output, less its mean."""
    for i in range(sums.size):
        number = np.float32(np.int32(outputs[i] & np.uint32(0xFFFFFF)))
        sums[i] += weight * (number * np.float32(2.0**-24) - np.float32(0.5))


@numba.njit(cache=True, parallel=True, error_model="numpy")
def _matching(start, count, place, bits, certain, hits):
    """Mark the blocks of seeds that hold one whose output ``place`` has the certain bits."""
    for block in numba.prange(count // _LANES):
        states = np.empty(_LANES, np.uint32)
        for i in range(_LANES):
            states[i] = np.uint32(start + block * _LANES + i)
        _seeding(states, 1, place + 1)
        word = states.copy()
        _seeding(states, place + 1, place + 2)
        following = states.copy()
        _seeding(states, place + 2, place + MIDDLE + 1)
        out = np.empty(_LANES, np.uint32)
        _outputs(word, following, states, out)
        for i in range(_LANES):
            if ((out[i] ^ bits) & certain) == 0:
                hits[block * _LANES + i] = True


@numba.njit(cache=True, parallel=True, error_model="numpy")
def _alike(start, count, weights, hits, least):
    """Mark the seeds whose first draws have at least this inner product with the weights."""
    for block in numba.prange(count // _WIDE):
        rows = np.empty((weights.size + 1, _WIDE), np.uint32)
        for i in range(_WIDE):
            rows[0, i] = np.uint32(start + block * _WIDE + i)
        for j in range(1, weights.size + 1):
            _next(rows[j - 1], rows[j], np.uint32(j))
        far = rows[weights.size].copy()
        _seeding(far, weights.size + 1, MIDDLE)
        out, sums = np.empty(_WIDE, np.uint32), np.zeros(_WIDE, np.float32)
        for k in range(weights.size):
            _seeding(far, k + MIDDLE, k + MIDDLE + 1)
            _outputs(rows[k], rows[k + 1], far, out)
            _add(out, weights[k], sums)
        for i in range(_WIDE):
            if sums[i] > least:
                hits[block * _WIDE + i] = True


def matching_seeds(
    places: NDArray[np.int64],
    bits: NDArray[np.uint32],
    certain: NDArray[np.uint32],
    start: int = 0,
    stop: int = ALL_SEEDS,
    said: Said | None = None,
) -> Iterator[int]:
    """Seeds whose outputs agree with what is known, up to a tenth.

    Args:
        places: ``(K,)``, which outputs are known, in order; the first must be below 227.
        bits, certain: ``(K,)``, their bits and which of them are certain.
        start, stop: the seeds to try.
        said: is called with the number of seeds tried so far.
    """
    near = certain * (places < FIRST)
    best = int(np.argmax(np.bitwise_count(near)))
    key = int(places[best]), bits[best], certain[best]

    def mark(first: int, count: int, hits: NDArray[np.bool_]) -> None:
        _matching(first, count, *key, hits)

    few = slice(0, 64)
    for seed in _marked(mark, start, stop, said):
        if _agrees(seed, places[few], bits[few], certain[few]) and _agrees(
            seed, places, bits, certain
        ):
            yield seed


def similar_seeds(
    weights: NDArray[np.float32],
    start: int = 0,
    stop: int = ALL_SEEDS,
    said: Said | None = None,
) -> Iterator[int]:
    """Seeds whose first draws are more like the weights than chance allows.

    Args:
        weights: ``(N,)``, a trained layer's, in the order in which it was drawn, from the
            generator's first output on; the first 227 are used.
        start, stop, said: as for :func:`matching_seeds`.
    """
    seen = (weights[:FIRST] - weights[:FIRST].mean()).astype(np.float32)
    least = np.float32(_SURE_DEVIATIONS * np.linalg.norm(seen) / np.sqrt(12.0))

    def mark(first: int, count: int, hits: NDArray[np.bool_]) -> None:
        _alike(first, count, seen, hits, least)

    yield from _marked(mark, start, stop, said)


def _marked(
    mark: Callable[[int, int, NDArray[np.bool_]], None], start: int, stop: int, said: Said | None
) -> Iterator[int]:
    """The seeds that a search marks, chunk by chunk."""
    numba.set_num_threads(min(os.cpu_count() or 1, numba.config.NUMBA_NUM_THREADS))
    for first in range(start, stop, _CHUNK):
        count = min(_CHUNK, stop - first)
        padded = -(-count // _LANES) * _LANES
        hits = np.zeros(padded, np.bool_)
        mark(first, padded, hits)
        yield from (first + int(i) for i in hits[:count].nonzero()[0])
        if said:
            said(first + count - start)


def _agrees(
    seed: int,
    places: NDArray[np.int64],
    bits: NDArray[np.uint32],
    certain: NDArray[np.uint32],
) -> bool:
    outputs = draw(seeded(seed), int(places[-1]) + 1)[places]
    return float((((outputs ^ bits) & certain) == 0).mean()) >= _AGREEING
