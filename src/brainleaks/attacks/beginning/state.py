"""The generator's state from 900 to 1,700 of its draws, wherever in its stream they were made.

Every bit that MT19937 puts out is a sum modulo 2 of bits of its state. So each known bit is a
linear equation in the 19,968 bits of a window, of which 19,937 matter, and elimination solves them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainleaks.attacks.beginning._state import COLUMNS, eliminate, equations
from brainleaks.attacks.beginning.mersenne import Words, temper

_RANK = 19937
#: How many equations are tried, in turn: of scattered draws many follow from the others.
_COUNTS = (21_000, 32_000, 64_000)

Bits = NDArray[np.uint64]
#: Which bits of a word each bit of its output is the sum of.
_TEMPERED = np.array(
    [
        [bool(temper(np.array([1 << b], np.uint32))[0] >> i & 1) for b in range(32)]
        for i in range(32)
    ]
)


@dataclass(frozen=True)
class Solution:
    """What elimination found.

    Args:
        window: of the generator before output 0, ``(624,)``; of the first word only the high bit.
            ``None`` if the bits leave it open.
        consistent: whether the bits can be those of one MT19937 at these places.
    """

    window: Words | None
    consistent: bool


def solve(
    places: NDArray[np.int64], bits: NDArray[np.uint32], certain: NDArray[np.uint32]
) -> Solution:
    """The state of the generator from known bits of its outputs.

    Args:
        places: ``(K,)``, which outputs are known, in order, counted from any point of the stream.
        bits: ``(K,)``, these outputs.
        certain: ``(K,)``, a mask of the bits that are certain.
    """
    known = int(np.bitwise_count(certain).sum())
    for count in _COUNTS:
        if known < min(count, _COUNTS[0]):
            break
        rows = equations(places, bits, certain, _TEMPERED, min(count, known))
        pivots = np.zeros(len(rows), np.int64)
        rank = eliminate(rows, pivots)
        if rows[rank:, COLUMNS].any():
            return Solution(None, consistent=False)
        if rank == _RANK:
            return Solution(_back_substituted(rows[:rank], pivots), consistent=True)
        if known <= count:
            break
    return Solution(None, consistent=True)


def _back_substituted(rows: Bits, pivots: NDArray[np.int64]) -> Words:
    solution = np.zeros(COLUMNS, np.uint64)
    for row, column in zip(rows[::-1], pivots[len(rows) - 1 :: -1], strict=True):
        known = np.bitwise_count(row[:COLUMNS] & solution).sum() & 1
        bit = np.uint64(known) ^ row[COLUMNS]
        solution[column // 64] |= bit << np.uint64(column % 64)
    return solution.view(np.uint32).copy()
