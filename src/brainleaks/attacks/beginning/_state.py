"""The compiled loops of :mod:`brainleaks.attacks.beginning.state`.

A row of 313 words is an equation: column ``32 n + b`` is bit ``b`` of word ``n`` of the window, and
the last word is the right side.
"""

import numba
import numpy as np

from brainleaks.attacks.beginning._mersenne import MIDDLE, SIZE

COLUMNS = 32 * SIZE // 64
#: Columns that are eliminated at once, by a table of the sums of their rows.
_BLOCK = 8
_ONE = np.uint64(1)


@numba.njit(cache=True)
def _step(words, now):
    """Replace word ``now`` of a window of symbolic words by the one 624 places later.

    ``words`` is ``(624, 32, COLUMNS)``: for each bit, which bits of the window it is the sum of.
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
def equations(places, bits, certain, tempered, count):
    """Known bits as rows: coefficients, and the bit itself in a last column."""
    words = np.zeros((SIZE, 32, COLUMNS), np.uint64)
    for n in range(SIZE):
        for bit in range(32):
            words[n, bit, n // 2] = _ONE << np.uint64(32 * (n % 2) + bit)
    rows = np.zeros((count, COLUMNS + 1), np.uint64)
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
                        for c in range(COLUMNS):
                            rows[found, c] ^= word[bit, c]
                rows[found, COLUMNS] = np.uint64(bits[k] >> np.uint32(i) & np.uint32(1))
                found += 1
    return rows[:found]


@numba.njit(cache=True)
def eliminate(rows, pivots):
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
