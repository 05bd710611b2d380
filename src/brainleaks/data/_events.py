"""The compiled loops of :mod:`brainleaks.data.events`: one pass over a recording each."""

import numba
import numpy as np


@numba.njit(cache=True)
def decoded(raw, overflow_y, overflow_step):
    """The events of N-MNIST's five bytes each, ``raw`` being ``(N, 5)``; overflows are left out."""
    x, y = np.empty(len(raw), np.uint16), np.empty(len(raw), np.uint16)
    t, p = np.empty(len(raw), np.int64), np.empty(len(raw), np.uint8)
    found, overflowed = 0, 0
    for i in range(len(raw)):
        if raw[i, 1] == overflow_y:
            overflowed += overflow_step
            continue
        x[found], y[found] = raw[i, 0], raw[i, 1]
        t[found] = overflowed + (
            np.int64(raw[i, 2] & 127) << 16 | np.int64(raw[i, 3]) << 8 | np.int64(raw[i, 4])
        )
        p[found] = raw[i, 2] >> 7
        found += 1
    return x[:found], y[:found], t[:found], p[:found]


@numba.njit(cache=True)
def span(x, y, t):
    """The largest ``x`` and ``y``, the first and the last time, and whether no time runs back."""
    right, low, first, last, ordered = 0, 0, t[0], t[0], True
    for i in range(len(t)):
        right, low = max(right, int(x[i])), max(low, int(y[i]))
        ordered &= i == 0 or t[i] >= t[i - 1]
        first, last = min(first, t[i]), max(last, t[i])
    return right, low, first, last, ordered


@numba.njit(cache=True)
def in_order(t):
    """A largest set of events none of which is earlier than one before it, as a mask."""
    last, before, length = np.empty(len(t), np.int64), np.empty(len(t), np.int64), 0
    for i in range(len(t)):
        # last[k] ends the run of k + 1 events that ends earliest
        low, high = 0, length
        if length and t[last[length - 1]] <= t[i]:
            low = length
        while low < high:
            middle = (low + high) // 2
            if t[last[middle]] <= t[i]:
                low = middle + 1
            else:
                high = middle
        before[i] = last[low - 1] if low else -1
        last[low] = i
        length = max(length, low + 1)
    kept = np.zeros(len(t), np.bool_)
    i = last[length - 1] if length else -1
    while i >= 0:
        kept[i] = True
        i = before[i]
    return kept


@numba.njit(cache=True)
def out_of_place(t, kept):
    """How far each time lies from those of the ``kept`` events around it; 0 for these."""
    distance = np.zeros(len(t), np.int64)
    latest, earliest = t[0], t[0]
    seen = False
    for i in range(len(t)):
        if kept[i]:
            latest, seen = t[i], True
        elif seen:
            distance[i] = max(distance[i], latest - t[i])
    seen = False
    for i in range(len(t) - 1, -1, -1):
        if kept[i]:
            earliest, seen = t[i], True
        elif seen:
            distance[i] = max(distance[i], t[i] - earliest)
    return distance


@numba.njit(cache=True)
def connected(x, y, t, filter_us):
    """Which events have a neighbour that fired within ``filter_us`` before them.

    Times are at most 2**53 from 0, so that none of the sums overflows.
    """
    width, height = int(x.max()) + 1, int(y.max()) + 1
    until = np.full((width, height), filter_us, np.int64)
    kept = np.zeros(len(t), np.bool_)
    for i in range(len(t)):
        column, row, now = int(x[i]), int(y[i]), t[i]
        until[column, row] = now + filter_us
        kept[i] = (
            (column > 0 and until[column - 1, row] > now)
            or (column < width - 1 and until[column + 1, row] > now)
            or (row > 0 and until[column, row - 1] > now)
            or (row < height - 1 and until[column, row + 1] > now)
        )
    return kept


@numba.njit(cache=True)
def firing(x, y, t, p, dark_only, channels, frame_us, count, height, width):
    """The pixels that fire in each frame, each once and in order, and how many they are.

    With two ``channels``, those of polarity 1 come after all those of polarity 0. Times grow;
    ``x`` is less than ``width`` and ``y`` than ``height``.
    """
    pixels, frames = np.empty(len(t), np.uint32), np.empty(len(t), np.int64)
    last_fired = np.full(channels * height * width, -1, np.int64)
    frame, found, end = 0, 0, t[0] + frame_us
    for i in range(len(t)):
        if t[i] >= end:
            frame = (t[i] - t[0]) // frame_us
            end = t[0] + (frame + 1) * frame_us
            if frame >= count:
                break
        row = np.int64(y[i]) + (height if channels == 2 and p[i] else 0)
        pixel = row * width + x[i]
        if last_fired[pixel] != frame and not (dark_only and p[i]):
            last_fired[pixel] = frame
            pixels[found], frames[found] = pixel, frame
            found += 1
    by_pixel, _ = _counting_sort(pixels[:found], channels * height * width)
    by_frame, counts = _counting_sort(frames[:found][by_pixel], count)
    return pixels[:found][by_pixel][by_frame], counts


@numba.njit(cache=True)
def _counting_sort(keys, buckets):
    """The stable order of keys below ``buckets``, and how many there are of each key."""
    counts = np.zeros(buckets, np.int64)
    for key in keys:
        counts[key] += 1
    place = np.cumsum(counts) - counts
    order = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        order[place[keys[i]]] = i
        place[keys[i]] += 1
    return order, counts
