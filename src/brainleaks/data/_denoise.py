"""The compiled loop of :func:`brainleaks.data.events.denoise`."""

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
