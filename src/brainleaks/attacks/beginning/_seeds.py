"""The compiled loops of :mod:`brainleaks.attacks.beginning.seeds`.

A block of seeds takes each step together, so that one instruction computes many of them.
"""

import numba
import numpy as np

from brainleaks.attacks.beginning._mersenne import MIDDLE

#: Seeds of a block; so many words stay in the first-level cache.
LANES = 1024
_FACTOR, _BITS_30, _ONE = np.uint32(1812433253), np.uint32(30), np.uint32(1)


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
def matching(start, count, place, bits, certain, hits):
    """Mark the blocks of seeds that hold one whose output ``place`` has the certain bits."""
    for block in numba.prange(count // LANES):
        states = np.empty(LANES, np.uint32)
        for i in range(LANES):
            states[i] = np.uint32(start + block * LANES + i)
        _seeding(states, 1, place + 1)
        word = states.copy()
        _seeding(states, place + 1, place + 2)
        following = states.copy()
        _seeding(states, place + 2, place + MIDDLE + 1)
        out = np.empty(LANES, np.uint32)
        _outputs(word, following, states, out)
        for i in range(LANES):
            if ((out[i] ^ bits) & certain) == 0:
                hits[block * LANES + i] = True


@numba.njit(cache=True, parallel=True, error_model="numpy")
def alike(seeds, weights, least, hits):
    """Mark the seeds whose first draws have at least this inner product with the weights."""
    for block in numba.prange(seeds.size // LANES):
        first = block * LANES
        rows = np.empty((weights.size + 1, LANES), np.uint32)
        for i in range(LANES):
            rows[0, i] = seeds[first + i]
        for j in range(1, weights.size + 1):
            _next(rows[j - 1], rows[j], np.uint32(j))
        far = rows[weights.size].copy()
        _seeding(far, weights.size + 1, MIDDLE)
        out, sums = np.empty(LANES, np.uint32), np.zeros(LANES, np.float32)
        for k in range(weights.size):
            _seeding(far, k + MIDDLE, k + MIDDLE + 1)
            _outputs(rows[k], rows[k + 1], far, out)
            _add(out, weights[k], sums)
        for i in range(LANES):
            hits[first + i] = sums[i] > least
