"""The generator that draws torch's initial weights on the CPU: MT19937, forwards and backwards.

A *window* is 624 consecutive words of its recurrence, before tempering:

    x[n + 624] = x[n + 397] ^ twist(high bit of x[n], low 31 bits of x[n + 1])

The window ``x[0], ..., x[623]`` determines all that is drawn next, and all that was drawn before.
Source: Matsumoto and Nishimura, "Mersenne Twister" (1998).
"""

import numpy as np
from numpy.typing import NDArray

from brainleaks.attacks.beginning._mersenne import fill, fill_back, first_seeded

Words = NDArray[np.uint32]

SIZE = 624
_FACTOR = 1812433253
_INVERSE = pow(_FACTOR, -1, 1 << 32)
_B, _C = np.uint32(0x9D2C5680), np.uint32(0xEFC60000)
#: How many words are run back at a time.
_CHUNK = 1 << 20


def seeded(seed: int) -> Words:
    """The window of a generator with this seed before its first draw, ``(624,)``.

    As in ``torch.manual_seed``, only the low 32 bits of the seed count.
    """
    words = [seed & 0xFFFFFFFF]
    for j in range(1, SIZE):
        words.append((_FACTOR * (words[-1] ^ (words[-1] >> 30)) + j) & 0xFFFFFFFF)
    return np.array(words, np.uint32)


def advance(window: Words, count: int) -> Words:
    """The window after ``count`` draws."""
    return _continued(window, count)[-SIZE:].copy()


def draw(window: Words, count: int) -> Words:
    """The next ``count`` outputs, 32 bits each."""
    return temper(_continued(window, count)[SIZE:])


def run_back(window: Words, count: int) -> Words:
    """The window before the last ``count`` draws, which the generator must have made."""
    words = np.empty(count + SIZE, np.uint32)
    words[count:] = window
    fill_back(words)
    return words[:SIZE].copy()


def find_seed(window: Words, most: int) -> tuple[int, int] | None:
    """The seed that a window goes back to, and how many draws were made since.

    Args:
        window: ``(624,)``; the low 31 bits of its first word are not used.
        most: number of draws to run back at most.

    Returns:
        The low 32 bits of the seed and the number of draws, or ``None`` if no seed is found.
    """
    done = 0
    while True:
        step = min(_CHUNK, most - done)
        words = np.empty(step + SIZE, np.uint32)
        words[step:] = window
        fill_back(words)
        if (place := first_seeded(words)) >= 0:
            mixed = ((int(words[place + 1]) - 1) * _INVERSE) & 0xFFFFFFFF
            return mixed ^ (mixed >> 30), done + step - place
        done += step
        if done >= most:
            return None
        window = words[:SIZE]


def temper(words: Words) -> Words:
    """The outputs that words of the recurrence become."""
    y = words ^ (words >> np.uint32(11))
    y ^= (y << np.uint32(7)) & _B
    y ^= (y << np.uint32(15)) & _C
    y ^= y >> np.uint32(18)
    return y


def _continued(window: Words, count: int) -> Words:
    words = np.empty(SIZE + count, np.uint32)
    words[:SIZE] = window
    fill(words)
    return words
