"""The compiled loops of the camera formats: one word, or one byte, after the other.

A word means what the words before it made of it, so the loops keep that state. They are given how
many events there can be at most, and believe nothing else of a file.
"""

import numba
import numpy as np

#: Past every sensor that these formats describe; a damaged file's columns grow no further.
_FURTHEST_X = 4_096
_TENS = 10.0 ** np.arange(19)


@numba.njit(cache=True)
def ones(mask):
    """How many bits of a mask are set."""
    count = 0
    while mask:
        mask &= mask - 1
        count += 1
    return count


@numba.njit(cache=True)
def evt2(words):
    """The events of EVT 2.0: ``words`` (uint32) are an event each, or the upper part of a time."""
    x, y = np.empty(len(words), np.uint16), np.empty(len(words), np.uint16)
    t, p = np.empty(len(words), np.int64), np.empty(len(words), np.uint8)
    found, high, turns = 0, -1, 0
    for i in range(len(words)):
        word = np.int64(words[i])
        kind = word >> 28
        if kind == 8:
            value = word & 0xFFFFFFF
            turns += high - value >= 1 << 27
            high = value
        elif kind <= 1 and high >= 0:
            x[found], y[found], p[found] = word >> 11 & 0x7FF, word & 0x7FF, kind
            t[found] = turns << 34 | high << 6 | word >> 22 & 63
            found += 1
    return x[:found], y[:found], t[:found], p[:found]


@numba.njit(cache=True)
def evt21_most(words):
    """How many events words of EVT 2.1 hold at most."""
    most = 0
    for i in range(len(words)):
        if words[i] >> np.uint64(60) <= 1:
            most += ones(np.int64(words[i] & np.uint64(0xFFFFFFFF)))
    return most


@numba.njit(cache=True)
def evt21(words, most):
    """The events of EVT 2.1: ``words`` (uint64) hold up to 32 events beside each other."""
    x, y = np.empty(most, np.uint16), np.empty(most, np.uint16)
    t, p = np.empty(most, np.int64), np.empty(most, np.uint8)
    found, high, turns = 0, -1, 0
    for i in range(len(words)):
        upper = np.int64(words[i] >> np.uint64(32))
        kind = upper >> 28
        if kind == 8:
            value = upper & 0xFFFFFFF
            turns += high - value >= 1 << 27
            high = value
        elif kind <= 1 and high >= 0:
            mask, column = np.int64(words[i] & np.uint64(0xFFFFFFFF)), upper >> 11 & 0x7FF
            now = turns << 34 | high << 6 | upper >> 22 & 63
            while mask:
                if mask & 1:
                    x[found], y[found], p[found], t[found] = column, upper & 0x7FF, kind, now
                    found += 1
                mask >>= 1
                column += 1
    return x[:found], y[:found], t[:found], p[:found]


@numba.njit(cache=True)
def evt3_most(words):
    """How many events words of EVT 3.0 hold at most."""
    most = 0
    for i in range(len(words)):
        kind = words[i] >> 12
        if kind == 2:
            most += 1
        elif kind == 4:
            most += ones(np.int64(words[i]) & 0xFFF)
        elif kind == 5:
            most += ones(np.int64(words[i]) & 0xFF)
    return most


@numba.njit(cache=True)
def evt3(words, most):
    """The events of EVT 3.0: ``words`` (uint16) change the row, the time or the column."""
    x, y = np.empty(most, np.uint16), np.empty(most, np.uint16)
    t, p = np.empty(most, np.int64), np.empty(most, np.uint8)
    found, high, low, turns, row, column, polarity, now = 0, -1, 0, 0, -1, -1, 0, 0
    for i in range(len(words)):
        kind, value = words[i] >> 12, np.int64(words[i]) & 0xFFF
        if kind == 6:
            low = value
            now = turns << 24 | high << 12 | low
        elif kind == 8:
            turns += high - value >= 1 << 11
            low = low if value == high else 0
            high = value
            now = turns << 24 | high << 12 | low
        elif kind == 0:
            row = value & 0x7FF
        elif kind == 3:
            column, polarity = value & 0x7FF, value >> 11
        elif kind == 2 and high >= 0 and row >= 0:
            x[found], y[found], p[found], t[found] = value & 0x7FF, row, value >> 11, now
            found += 1
        elif (kind == 4 or kind == 5) and column >= 0:
            width = 12 if kind == 4 else 8
            mask = value if kind == 4 else value & 0xFF
            if high >= 0 and row >= 0:
                place = column
                while mask:
                    if mask & 1:
                        x[found], y[found], p[found], t[found] = place, row, polarity, now
                        found += 1
                    mask >>= 1
                    place += 1
            column = min(column + width, _FURTHEST_X)
    return x[:found], y[:found], t[:found], p[:found]


@numba.njit(cache=True)
def event_stream(raw, atis):
    """The events of Event Stream 2, and whether the last one is complete.

    ``raw`` (uint8) is what follows the header. Of ``atis`` streams only changes of light are kept.
    """
    most = len(raw) // 5
    x, y = np.empty(most, np.uint16), np.empty(most, np.uint16)
    t, p = np.empty(most, np.int64), np.empty(most, np.uint8)
    found, place, now = 0, 0, 0
    while place < len(raw):
        byte = np.int64(raw[place])
        place += 1
        if atis and byte >= 0xFC:
            now += 63 * (byte & 3)
            continue
        if not atis and byte >= 0xFE:
            now += 127 * (byte & 1)
            continue
        now += byte >> 2 if atis else byte >> 1
        if place + 4 > len(raw):
            return x[:found], y[:found], t[:found], p[:found], False
        if not (atis and byte & 1):
            x[found] = np.int64(raw[place]) | np.int64(raw[place + 1]) << 8
            y[found] = np.int64(raw[place + 2]) | np.int64(raw[place + 3]) << 8
            t[found], p[found] = now, byte >> 1 & 1 if atis else byte & 1
            found += 1
        place += 4
    return x[:found], y[:found], t[:found], p[:found], True


@numba.njit(cache=True)
def numbers(raw, width):
    """The numbers of a text, rows of ``width`` columns, and where a line begins that is no row.

    ``raw`` (uint8) is the text. Columns are divided by a comma, a semicolon or white space; empty
    lines, and those that begin with ``#``, are passed over; -1 says that all others are rows.
    """
    lines = 1
    for byte in raw:
        lines += byte == 10
    # a row takes a digit and what divides it for each column at least
    rows = np.empty((min(lines, len(raw) // (2 * width) + 1), width), np.float64)
    found, place = 0, 0
    while place < len(raw):
        line = place
        place = _blank(raw, place)
        if place < len(raw) and raw[place] == 35:  # '#'
            while place < len(raw) and raw[place] != 10:
                place += 1
        elif place < len(raw) and raw[place] != 10:
            for column in range(width):
                rows[found, column], place = _number(raw, place)
                if place < 0:
                    return rows[:found], line
                if column < width - 1:
                    place = _divided(raw, place)
                    if place < 0:
                        return rows[:found], line
            place = _blank(raw, place)
            if place < len(raw) and raw[place] != 10:
                return rows[:found], line
            found += 1
        place += 1
    return rows[:found], -1


@numba.njit(cache=True)
def _blank(raw, place):
    while place < len(raw) and (raw[place] == 32 or raw[place] == 9 or raw[place] == 13):
        place += 1
    return place


@numba.njit(cache=True)
def _divided(raw, place):
    """Where the next column begins, or -1."""
    start = place
    place = _blank(raw, place)
    if place < len(raw) and (raw[place] == 44 or raw[place] == 59):  # ',' or ';'
        place = _blank(raw, place + 1)
    return place if place > start else -1


@numba.njit(cache=True)
def _number(raw, place):
    """A decimal number, and where it ends, or -1."""
    sign, whole, shift, digits = 1.0, np.int64(0), 0, 0
    if place < len(raw) and (raw[place] == 45 or raw[place] == 43):  # '-' or '+'
        sign = -1.0 if raw[place] == 45 else 1.0
        place += 1
    point = False
    while place < len(raw):
        byte = raw[place]
        if byte == 46 and not point:  # '.'
            point = True
        elif 48 <= byte <= 57:
            digits += 1
            if whole < 100_000_000_000_000_000:
                whole = 10 * whole + (byte - 48)
                shift -= point
            else:
                shift += not point
        else:
            break
        place += 1
    if not digits:
        return 0.0, -1
    if place < len(raw) and (raw[place] == 101 or raw[place] == 69):  # 'e' or 'E'
        power, negative, start = 0, False, place
        place += 1
        if place < len(raw) and (raw[place] == 45 or raw[place] == 43):
            negative = raw[place] == 45
            place += 1
        start = place
        while place < len(raw) and 48 <= raw[place] <= 57:
            power = min(10 * power + (raw[place] - 48), 9_999)
            place += 1
        if place == start:
            return 0.0, -1
        shift += -power if negative else power
    # a division by a power of ten is rounded once, a multiplication by its inverse twice
    value = np.float64(whole)
    if shift < 0:
        value /= _TENS[-shift] if shift >= -18 else 10.0 ** min(-shift, 308)
    elif shift > 0:
        value *= 10.0 ** min(shift, 308)
    return sign * value, place
