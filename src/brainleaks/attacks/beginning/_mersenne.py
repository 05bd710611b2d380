"""The compiled loops of :mod:`brainleaks.attacks.beginning.mersenne`."""

import numba
import numpy as np

SIZE, MIDDLE = 624, 397
_FACTOR = np.uint32(1812433253)
_MATRIX = np.uint32(0x9908B0DF)
_HIGH, _LOW = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
_ONE, _BITS_30 = np.uint32(1), np.uint32(30)


@numba.njit(cache=True)
def fill(words):
    """Continue the recurrence from the first 624 words to the end of the array."""
    for n in range(words.size - SIZE):
        y = (words[n] & _HIGH) | (words[n + 1] & _LOW)
        words[n + SIZE] = words[n + MIDDLE] ^ (y >> _ONE) ^ (_MATRIX * (y & _ONE))


@numba.njit(cache=True)
def fill_back(words):
    """Continue the recurrence from the last 624 words to the beginning of the array."""
    for n in range(words.size - SIZE, -1, -1):
        low = _twisted(words[n + SIZE - 1] ^ words[n + MIDDLE - 1])
        high = words[n] & _HIGH
        if n + SIZE < words.size:
            high = _twisted(words[n + SIZE] ^ words[n + MIDDLE]) & _HIGH
        words[n] = high | (low & _LOW)


@numba.njit(cache=True)
def _twisted(value):
    """The word whose twist is this value."""
    odd = value >> np.uint32(31)
    return np.uint32(((value ^ (_MATRIX * odd)) << _ONE) | odd)


@numba.njit(cache=True)
def first_seeded(words):
    """The last index at which 624 words are those that follow from a seed, or -1."""
    for n in range(words.size - SIZE, -1, -1):
        fits = True
        for j in range(2, SIZE):
            x = words[n + j - 1]
            if words[n + j] != np.uint32(_FACTOR * (x ^ (x >> _BITS_30)) + np.uint32(j)):
                fits = False
                break
        if fits:
            return n
    return -1
