"""The compiled loops of :mod:`brainleaks.networks.pool`, one pass over memory each way.

Arrays are ``(N, H, W, C)``: channels lie side by side in memory, and the inner loops run over them.
"""

import numba
import numpy as np


@numba.njit(parallel=True, cache=True)
def forward(x, largest, which):
    """Fill ``largest`` and ``which``, ``(N, H // 2, W // 2, C)``: 2 * row + column, of the first.

    As in torch, a NaN counts as the largest.
    """
    _, height, width, channels = largest.shape
    for n in numba.prange(len(x)):
        for i in range(height):
            for j in range(width):
                for c in range(channels):
                    best, index = x[n, 2 * i, 2 * j, c], np.int32(0)
                    for k in range(1, 4):
                        value = x[n, 2 * i + k // 2, 2 * j + k % 2, c]
                        larger = (value > best) | (value != value)
                        best = value if larger else best
                        index = np.int32(k) if larger else index
                    largest[n, i, j, c] = best
                    which[n, i, j, c] = index


@numba.njit(parallel=True, cache=True)
def backward(gradient, which, to_x):
    """Fill ``to_x``: each gradient goes where its largest value came from, the rest is 0."""
    _, height, width, channels = gradient.shape
    nil = gradient.dtype.type(0)
    for n in numba.prange(len(to_x)):
        to_x[n, 2 * height :] = nil
        to_x[n, :, 2 * width :] = nil
        for i in range(height):
            for j in range(width):
                for k in range(4):
                    for c in range(channels):
                        value = gradient[n, i, j, c] if which[n, i, j, c] == k else nil
                        to_x[n, 2 * i + k // 2, 2 * j + k % 2, c] = value


@numba.njit(parallel=True, cache=True)
def take(x, which, taken):
    """Fill ``taken``, ``(N, H // 2, W // 2, C)``: the values of ``x`` where the largest were."""
    _, height, width, channels = which.shape
    for n in numba.prange(len(x)):
        for i in range(height):
            for j in range(width):
                for c in range(channels):
                    k = which[n, i, j, c]
                    taken[n, i, j, c] = x[n, 2 * i + k // 2, 2 * j + k % 2, c]
