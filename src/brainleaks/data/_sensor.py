"""The compiled loop of :func:`brainleaks.data.simulate.simulate`."""

import numba
import numpy as np


@numba.njit(cache=True)
def observe(light, fine, corner, track, step_us, thresholds, follow, refractory_us):
    """Events of every pixel while the scene moves, as rows ``x, y, t, p``, pixel after pixel.

    ``light`` is the logarithm of the scene's light, ``fine`` samples a pixel, the first of them
    ``corner`` pixels left of and above the scene's origin; ``track`` is where on the sensor that
    origin lies, ``(T, 2)`` as x and y in pixels, every ``step_us``; between two steps light
    changes linearly. ``thresholds`` is ``(2, H, W)``, for darker and for brighter; ``follow`` is
    the share of a change of light that a pixel follows in one step.
    """
    height, width = thresholds.shape[1:]
    events, n = np.empty((1 << 13, 4), np.int64), 0
    levels = np.empty(len(track))
    for y in range(height):
        for x in range(width):
            if _sees_change(light, fine, corner, track, x, y, thresholds[:, y, x].min()):
                for k in range(len(track)):
                    levels[k] = _light_at(light, fine, corner, x - track[k, 0], y - track[k, 1])
                _low_pass(levels, follow)
                pair = thresholds[:, y, x]
                events, n = _fire(events, n, x, y, levels, step_us, pair, refractory_us)
    return events[:n]


@numba.njit(cache=True)
def _sees_change(light, fine, corner, track, x, y, threshold):
    """Whether what passes before a pixel varies by its threshold; most pixels see paper only."""
    top = int((y - track[:, 1].max() + corner) * fine)
    left = int((x - track[:, 0].max() + corner) * fine)
    bottom = int((y - track[:, 1].min() + corner) * fine) + 2
    right = int((x - track[:, 0].min() + corner) * fine) + 2
    lowest = highest = light[top, left]
    for row in range(top, bottom):
        for sample in light[row, left:right]:
            lowest, highest = min(lowest, sample), max(highest, sample)
        if highest - lowest >= threshold:
            return True
    return False


@numba.njit(cache=True)
def _light_at(light, fine, corner, x, y):
    """Between the four samples around a place in the scene."""
    column, row = (x + corner) * fine, (y + corner) * fine
    j, i = int(column), int(row)
    right, below = column - j, row - i
    upper = light[i, j] + right * (light[i, j + 1] - light[i, j])
    lower = light[i + 1, j] + right * (light[i + 1, j + 1] - light[i + 1, j])
    return upper + below * (lower - upper)


@numba.njit(cache=True)
def _low_pass(levels, follow):
    for k in range(1, len(levels)):
        levels[k] = levels[k - 1] + follow * (levels[k] - levels[k - 1])


@numba.njit(cache=True)
def _fire(events, n, x, y, levels, step_us, thresholds, refractory_us):
    """One pixel's events: at each it remembers the level; the next is a threshold away from it."""
    memory, asleep_until = levels[0], -1.0
    for k in range(len(levels) - 1):
        before, after, since = levels[k], levels[k + 1], 0.0
        while True:
            if asleep_until >= 0:
                since = max(since, asleep_until / step_us - k)
                if since >= 1:
                    break
                # on waking it remembers the level of that moment; what changed meanwhile is lost
                memory, asleep_until = before + since * (after - before), -1.0
            p = 1 if after > memory else 0
            threshold = thresholds[p]
            if abs(after - memory) < threshold:
                break
            memory += threshold if p == 1 else -threshold
            since = min(max(since, (memory - before) / (after - before)), 1.0)
            time = (k + since) * step_us
            if n == len(events):
                longer = np.empty((2 * n, 4), np.int64)
                longer[:n] = events
                events = longer
            events[n, 0], events[n, 1], events[n, 2], events[n, 3] = x, y, int(time), p
            n += 1
            if refractory_us > 0:
                asleep_until = time + refractory_us
    return events, n
