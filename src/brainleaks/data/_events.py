"""The compiled loops of :mod:`brainleaks.data.events`: one pass over a recording each."""

import numba
import numpy as np


@numba.njit(cache=True)
def connected(x, y, t, filter_us):
    """Which events have a neighbour that fired within ``filter_us`` before them."""
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
def firing(x, y, t, p, dark_only, frame_us, count, height, width):
    """The pixels that fire in each frame, each once and in order, and how many they are."""
    pixels = np.empty(len(t), np.uint32)
    counts = np.zeros(count, np.int64)
    last_fired = np.full(height * width, -1, np.int64)
    found = 0
    for i in range(len(t)):
        frame = (t[i] - t[0]) // frame_us
        if frame >= count:
            break
        pixel = np.int64(y[i]) * width + x[i]
        if last_fired[pixel] != frame and not (dark_only and p[i]):
            last_fired[pixel] = frame
            pixels[found] = pixel
            counts[frame] += 1
            found += 1
    begin = 0
    for number in counts:
        pixels[begin : begin + number].sort()
        begin += number
    return pixels[:found], counts
