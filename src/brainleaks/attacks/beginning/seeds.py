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

from brainleaks.attacks.beginning._mersenne import MIDDLE, SIZE
from brainleaks.attacks.beginning._seeds import LANES, alike, matching
from brainleaks.attacks.beginning.mersenne import draw, seeded

#: So many draws are made from the seeding recurrence itself.
FIRST = SIZE - MIDDLE
ALL_SEEDS = 1 << 32

#: Seeds between two reports of progress.
_CHUNK = 1 << 24
#: The share of known draws that must agree: a trained weight may look untouched by chance.
_AGREEING = 0.9
#: How many standard deviations of chance the best of 2^32 seeds must exceed.
_SURE_DEVIATIONS = 7.0
#: The first so many draws must exceed so many, or the seed is not looked at further.
_GLANCE, _LIKELY_DEVIATIONS = 64, 1.5

Said = Callable[[int], None]


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
        bits: ``(K,)``, these outputs.
        certain: ``(K,)``, a mask of the bits that are certain.
        start: the first seed to try.
        stop: the seed after the last.
        said: is called with the number of seeds tried so far.
    """
    near = certain * (places < FIRST)
    best = int(np.argmax(np.bitwise_count(near)))
    key = int(places[best]), bits[best], certain[best]

    def mark(first: int, count: int, hits: NDArray[np.bool_]) -> None:
        matching(first, count, *key, hits)

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
        start: the first seed to try.
        stop: the seed after the last.
        said: is called with the number of seeds tried so far.
    """
    seen = (weights[:FIRST] - weights[:FIRST].mean()).astype(np.float32)

    def mark(first: int, count: int, hits: NDArray[np.bool_]) -> None:
        seeds = np.arange(first, first + count, dtype=np.uint64).astype(np.uint32)
        left = _more_alike(seeds, seen[:_GLANCE], _LIKELY_DEVIATIONS)
        hits[left[_more_alike(seeds[left], seen, _SURE_DEVIATIONS)]] = True

    yield from _marked(mark, start, stop, said)


def _more_alike(
    seeds: NDArray[np.uint32], weights: NDArray[np.float32], deviations: float
) -> NDArray[np.intp]:
    """Indices of seeds whose draws are more like the weights than so many deviations of chance."""
    padded = np.concatenate([seeds, np.zeros(-len(seeds) % LANES, np.uint32)])
    hits = np.zeros(len(padded), np.bool_)
    alike(padded, weights, np.float32(deviations * np.linalg.norm(weights) / np.sqrt(12.0)), hits)
    return hits[: len(seeds)].nonzero()[0]


def _marked(
    mark: Callable[[int, int, NDArray[np.bool_]], None], start: int, stop: int, said: Said | None
) -> Iterator[int]:
    """The seeds that a search marks, chunk by chunk."""
    numba.set_num_threads(min(os.cpu_count() or 1, numba.config.NUMBA_NUM_THREADS))
    for first in range(start, stop, _CHUNK):
        count = min(_CHUNK, stop - first)
        padded = -(-count // LANES) * LANES
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
