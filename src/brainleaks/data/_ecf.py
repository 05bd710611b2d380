"""The compiled loops of Prophesee's ECF, in which its HDF5 files are compressed."""

import numba
import numpy as np


@numba.njit(cache=True)
def ecf(raw, count, packing):
    """The events of a chunk in Prophesee's ECF, and whether it is complete.

    ``raw`` (uint8) is the chunk with its header of four bytes and 16 zeros behind it; ``packing``
    are the two lowest bits of that header.
    """
    x, y = np.zeros(count, np.uint16), np.zeros(count, np.uint16)
    t, p = np.zeros(count, np.int64), np.zeros(count, np.uint8)
    end = len(raw) - 16
    place = _ecf_times(raw, end, t)
    if place >= 0 and packing & 2:
        place = _ecf_packed(raw, end, place, x, y, p)
    elif place >= 0:
        place = _ecf_rows(raw, end, place, y)
        if place >= 0 and packing & 1:
            place = _ecf_columns(raw, end, place, x, p)
        elif place >= 0:
            place = _ecf_masks(raw, end, place, x)
            if place >= 0:
                place = _ecf_polarities(raw, end, place, p)
    return x, y, t, p, place >= 0


@numba.njit(cache=True)
def _sixteen(raw, place):
    return np.int64(raw[place]) | np.int64(raw[place + 1]) << 8


@numba.njit(cache=True)
def _ecf_times(raw, end, t):
    """The first time in eight bytes, then steps of time and how many events come after each."""
    now, place, found = np.int64(0), 4, 0
    for k in range(8):
        now |= np.int64(raw[place + k]) << (8 * k)
    place += 8
    while found < len(t):
        step, shift = np.int64(0), 0
        while place < end and raw[place] >> 4 == 15:  # a long step, four bits a byte
            step |= np.int64(raw[place] & 15) << min(shift, 60)
            shift += 4
            place += 1
        if place >= end:
            return -1
        now += step + (raw[place] >> 4)
        run = np.int64(raw[place] & 15)
        place += 1
        if run == 15:
            run = _sixteen(raw, place)
            place += 2
        if place > end or run > len(t) - found:
            return -1
        t[found : found + run] = now
        found += run
    return place


@numba.njit(cache=True)
def _ecf_rows(raw, end, place, y):
    """A row in eleven bits, and how many events lie in it."""
    found = 0
    while found < len(y):
        if place >= end:
            return -1
        word = _sixteen(raw, place)
        place += 2
        run = word & 31
        if run == 31:
            run = _sixteen(raw, place)
            place += 2
        if place > end or run > len(y) - found:
            return -1
        y[found : found + run] = word >> 5
        found += run
    return place


@numba.njit(cache=True)
def _ecf_polarities(raw, end, place, p):
    """A polarity, and how many events have it."""
    found = 0
    while found < len(p):
        if place >= end:
            return -1
        polarity, run = raw[place] >> 7, np.int64(raw[place] & 127)
        place += 1
        if run == 127:
            run = _sixteen(raw, place)
            place += 2
        if place > end or run > len(p) - found:
            return -1
        p[found : found + run] = polarity
        found += run
    return place


@numba.njit(cache=True)
def _ecf_masks(raw, end, place, x):
    """A column in eleven bits, and which of the next five fire as well."""
    found = 0
    while found < len(x):
        if place + 2 > end:
            return -1
        word = _sixteen(raw, place)
        place += 2
        x[found] = word >> 5
        found += 1
        for k in range(5):
            if word >> (4 - k) & 1 and found < len(x):
                x[found] = (word >> 5) + k + 1
                found += 1
    return place


@numba.njit(cache=True)
def _ecf_columns(raw, end, place, x, p):
    """Four columns with their polarities in three words of 16 bits."""
    for i in range(0, len(x), 4):
        if place + 6 > end:
            return -1
        a, b, c = _sixteen(raw, place), _sixteen(raw, place + 2), _sixteen(raw, place + 4)
        four = (a >> 4, a & 15 | b >> 8 << 4, b & 255 | c >> 12 << 8, c & 4_095)
        for k in range(min(4, len(x) - i)):
            x[i + k], p[i + k] = four[k] >> 1, four[k] & 1
        place += 6
    return place


@numba.njit(cache=True)
def _ecf_packed(raw, end, place, x, y, p):
    """Four events in three words of 32 bits."""
    for i in range(0, len(x), 4):
        if place + 12 > end:
            return -1
        a = _sixteen(raw, place) | _sixteen(raw, place + 2) << 16
        b = _sixteen(raw, place + 4) | _sixteen(raw, place + 6) << 16
        c = _sixteen(raw, place + 8) | _sixteen(raw, place + 10) << 16
        four = (a >> 8, a & 255 | b >> 16 << 8, b & 65_535 | c >> 24 << 16, c & 0xFFFFFF)
        for k in range(min(4, len(x) - i)):
            y[i + k], x[i + k] = four[k] >> 12 & 0x7FF, four[k] >> 1 & 0x7FF
            p[i + k] = four[k] & 1
        place += 12
    return place
