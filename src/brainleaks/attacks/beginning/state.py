"""The generator's state from 900 to 1,700 of its draws, wherever in its stream they were made.

Every bit that MT19937 puts out is a sum modulo 2 of bits of its state. So each known bit is a
linear equation in the 19,968 bits of a window, of which 19,937 matter, and elimination solves them.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from brainleaks.attacks.beginning.mersenne import MIDDLE, SIZE, Words, temper

_BITS = 32 * SIZE
_COLUMNS = _BITS // 64
_RANK = 19937
#: How many equations are tried, in turn: the more the draws are scattered, the more say nothing new.
_COUNTS = (21_000, 32_000, 64_000)
#: Columns that are eliminated at once, by a table of the sums of their rows.
_BLOCK = 8

Bits = NDArray[np.uint64]
_ONE = np.uint64(1)

#: Which bits of a word each bit of its output is the sum of.
_TEMPERED = np.array(
    [
        [bool(temper(np.array([1 << b], np.uint32))[0] >> i & 1) for b in range(32)]
        for i in range(32)
    ]
)


@numba.njit(cache=True)
def _step(words, now):
    """Replace word ``now`` of a window of symbolic words by the one 624 places later.

    ``words`` is ``(624, 32, _COLUMNS)``: for each bit, which bits of the window it is the sum of.
    """
    following, far = words[(now + 1) % SIZE], words[(now + MIDDLE) % SIZE]
    fresh = far.copy()
    fresh[30] ^= words[now, 31]
    for bit in range(1, 31):
        fresh[bit - 1] ^= following[bit]
    for bit in range(32):
        if np.uint32(0x9908B0DF) >> np.uint32(bit) & np.uint32(1):
            fresh[bit] ^= following[0]
    words[now] = fresh


@numba.njit(cache=True)
def _equations(places, bits, certain, tempered, count):
    """Known bits as rows: coefficients, and the bit itself in a last column."""
    words = np.zeros((SIZE, 32, _COLUMNS), np.uint64)
    for n in range(SIZE):
        for bit in range(32):
            words[n, bit, n // 2] = _ONE << np.uint64(32 * (n % 2) + bit)
    rows = np.zeros((count, _COLUMNS + 1), np.uint64)
    found, made = 0, 0
    for k in range(places.size):
        while made <= places[k]:  # the first output is the word that follows the window
            _step(words, made % SIZE)
            made += 1
        word = words[places[k] % SIZE]
        for i in range(32):
            if found < count and certain[k] >> np.uint32(i) & np.uint32(1):
                for bit in range(32):
                    if tempered[i, bit]:
                        for c in range(_COLUMNS):
                            rows[found, c] ^= word[bit, c]
                rows[found, _COLUMNS] = np.uint64(bits[k] >> np.uint32(i) & np.uint32(1))
                found += 1
    return rows[:found]


@numba.njit(cache=True)
def _eliminate(rows, pivots):
    """Bring rows into echelon form; ``pivots`` gets the column of each; the rank."""
    rank, height, width = 0, rows.shape[0], rows.shape[1]
    table = np.zeros((1 << _BLOCK, width), np.uint64)
    for block in range(0, 64 * (width - 1), _BLOCK):
        first, shift = block // 64, np.uint64(block % 64)
        base, taken = rank, np.zeros(_BLOCK, np.int64)
        for i in range(_BLOCK):
            place = _pivot(rows, rank, base, taken, block, i)
            if place < 0:
                continue
            if place != rank:
                for c in range(first, width):
                    rows[rank, c], rows[place, c] = rows[place, c], rows[rank, c]
            for r in range(base, rank):  # so that each row of the block has one pivot
                if rows[r, first] >> (shift + np.uint64(i)) & _ONE:
                    rows[r, first:] ^= rows[rank, first:]
            taken[rank - base], pivots[rank] = i, block + i
            rank += 1
        for code in range(1, 1 << (rank - base)):
            top = 0
            while code >> (top + 1):
                top += 1
            table[code, first:] = table[code ^ (1 << top), first:] ^ rows[base + top, first:]
        for r in range(rank, height):
            piece, code = rows[r, first] >> shift, 0
            for q in range(rank - base):
                code |= np.int64(piece >> np.uint64(taken[q]) & _ONE) << q
            if code:
                for c in range(first, width):
                    rows[r, c] ^= table[code, c]
    return rank


@numba.njit(cache=True)
def _pivot(rows, rank, base, taken, block, i):
    """A row that still has bit ``i`` of the block once the block's pivots are taken out of it."""
    first, shift = block // 64, np.uint64(block % 64)
    for r in range(rank, rows.shape[0]):
        piece = rows[r, first] >> shift
        for q in range(rank - base):
            if piece >> np.uint64(taken[q]) & _ONE:
                piece ^= rows[base + q, first] >> shift
        if piece >> np.uint64(i) & _ONE:
            piece = rows[r, first] >> shift
            for q in range(rank - base):
                if piece >> np.uint64(taken[q]) & _ONE:
                    rows[r, first:] ^= rows[base + q, first:]
            return r
    return -1


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
        bits, certain: ``(K,)``, their bits and which of them are certain.
    """
    known = int(np.bitwise_count(certain).sum())
    for count in _COUNTS:
        if known < min(count, _COUNTS[0]):
            break
        rows = _equations(places, bits, certain, _TEMPERED, min(count, known))
        pivots = np.zeros(len(rows), np.int64)
        rank = _eliminate(rows, pivots)
        if rows[rank:, _COLUMNS].any():
            return Solution(None, consistent=False)
        if rank == _RANK:
            return Solution(_back_substituted(rows[:rank], pivots), consistent=True)
        if known <= count:
            break
    return Solution(None, consistent=True)


def _back_substituted(rows: Bits, pivots: NDArray[np.int64]) -> Words:
    solution = np.zeros(_COLUMNS, np.uint64)
    for row, column in zip(rows[::-1], pivots[len(rows) - 1 :: -1], strict=True):
        known = np.bitwise_count(row[:_COLUMNS] & solution).sum() & 1
        bit = np.uint64(known) ^ row[_COLUMNS]
        solution[column // 64] |= bit << np.uint64(column % 64)
    return solution.view(np.uint32).copy()
