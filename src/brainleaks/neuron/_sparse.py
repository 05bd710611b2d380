"""Products with a matrix that is mostly zeros, compiled for the CPU.

``spikes`` is ``(M, D)`` in compressed rows: the entries of row ``i`` are
``columns[start[i]:start[i+1]]`` and ``values`` likewise. Each thread owns a block of output
units, keeps their weights transposed in the second-level cache, and adds up one short row of
weights for every spike: the work follows the number of spikes, not the size of the input.
"""

import numba
import numpy as np

_CACHE_BYTES = 512 * 1024


@numba.njit(parallel=True, cache=True)
def count(dense):
    """Entries of a ``(M, D)`` array that are not zero."""
    total = 0
    for i in numba.prange(len(dense)):
        total += np.count_nonzero(dense[i])
    return total


@numba.njit(parallel=True, cache=True)
def compress(dense):
    """``(start, columns, values)`` of a ``(M, D)`` array."""
    rows, width = dense.shape
    start = np.zeros(rows + 1, np.int64)
    for i in numba.prange(rows):
        count = 0
        for j in range(width):
            count += dense[i, j] != 0
        start[i + 1] = count
    for i in range(rows):
        start[i + 1] += start[i]
    columns = np.empty(start[rows], np.int32)
    values = np.empty(start[rows], dense.dtype)
    for i in numba.prange(rows):
        at = start[i]
        for j in range(width):
            if dense[i, j] != 0:
                columns[at] = j
                values[at] = dense[i, j]
                at += 1
    return start, columns, values


@numba.njit(cache=True)
def _block(width, itemsize):
    """Output units whose weights fit in the cache, a multiple of 16."""
    return max(16, min(256, _CACHE_BYTES // (width * itemsize) // 16 * 16))


@numba.njit(parallel=True, cache=True)
def multiply(start, columns, values, weight, bias, out):
    """``out = spikes @ weight.T + bias``; weight ``(H, D)``, out ``(M, H)``."""
    units, width = weight.shape
    block = _block(width, weight.itemsize)
    for b in numba.prange((units + block - 1) // block):
        lo = b * block
        hi = min(lo + block, units)
        local = np.empty((width, hi - lo), weight.dtype)
        for d in range(width):
            for h in range(lo, hi):
                local[d, h - lo] = weight[h, d]
        total = np.empty(hi - lo, weight.dtype)
        for i in range(len(start) - 1):
            for j in range(hi - lo):
                total[j] = bias[lo + j]
            k, end = start[i], start[i + 1]
            while k + 4 <= end:  # four spikes at a time: one pass over the sums for all
                v0, v1, v2, v3 = values[k], values[k + 1], values[k + 2], values[k + 3]
                r0, r1 = local[columns[k]], local[columns[k + 1]]
                r2, r3 = local[columns[k + 2]], local[columns[k + 3]]
                for j in range(hi - lo):
                    total[j] += v0 * r0[j] + v1 * r1[j] + v2 * r2[j] + v3 * r3[j]
                k += 4
            while k < end:
                value, row = values[k], local[columns[k]]
                for j in range(hi - lo):
                    total[j] += value * row[j]
                k += 1
            out[i, lo:hi] = total


@numba.njit(parallel=True, cache=True)
def outer(start, columns, values, gradient, out):
    """``out = gradient.T @ spikes``; gradient ``(M, H)``, out ``(H, D)``."""
    units, width = out.shape
    block = _block(width, out.itemsize)
    for b in numba.prange((units + block - 1) // block):
        lo = b * block
        hi = min(lo + block, units)
        local = np.zeros((width, hi - lo), out.dtype)
        current = np.empty(hi - lo, out.dtype)
        for i in range(len(start) - 1):
            current[:] = gradient[i, lo:hi]
            for k in range(start[i], start[i + 1]):
                value = values[k]
                row = local[columns[k]]
                for j in range(hi - lo):
                    row[j] += value * current[j]
        for h in range(lo, hi):
            for d in range(width):
                out[h, d] = local[d, h - lo]
