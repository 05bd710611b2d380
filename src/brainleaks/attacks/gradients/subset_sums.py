"""Errors and spikes from the columns of a last layer's gradient: one subset sum a hidden neuron.

The last layer has as many rows as there are classes, which is fewer than a batch has time steps, so
that the span of the rows says nothing (compare :mod:`brainleaks.attacks.gradients.separation`). The
columns do not mix. That of a hidden neuron is

    gradient[:, j] = sum of error[i] over the samples and time steps i in which neuron j fired.

A neuron that fired once shows an error by itself, and many do where spikes are sparse. Errors are
real vectors, known to single precision, so that hardly two subsets of them have the same sum: a
mixed-integer program finds the one that there is.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.spatial import cKDTree

#: Rounding of a column, relative to the sum of its absolute values.
ROUNDING = 2e-7
#: Smaller columns, relative to the largest, are of silent neurons.
_SILENT = 1e-7
#: Directions in which errors differ by less say nothing beyond rounding.
_FLAT = 1e-5
#: Nodes of the search for the exact subset of a column, and for the nearest one.
_EXACT_NODES, _NEAREST_NODES = 1000, 10
#: What a spike costs beside what it leaves unexplained, in the nearest subset.
_SPIKE = 1e-4
#: Candidates for errors that no neuron shows alone, at most.
_CANDIDATES = 400_000


class Columns(NamedTuple):
    """The different columns of a gradient.

    Attributes:
        values: ``(N, C)``.
        which: that of each neuron, ``(D,)``; -1 of a silent one.
    """

    values: np.ndarray
    which: np.ndarray


def different_columns(gradient: np.ndarray) -> Columns:
    """The columns of a gradient ``(C, D)`` that differ by more than rounding, smallest first."""
    rows, size = gradient.T, np.abs(gradient).sum(0)
    which = np.full(len(rows), -1)
    fired = np.flatnonzero(size > _SILENT * size.max())
    fired = fired[size[fired].argsort(kind="stable")]
    near, values = cKDTree(rows[fired]), list[np.ndarray]()
    for j in fired:
        if which[j] < 0:
            equal = fired[near.query_ball_point(rows[j], 2 * ROUNDING * size[j])]
            equal = equal[which[equal] < 0]
            which[equal] = len(values)
            values.append(rows[equal].mean(0))
    return Columns(np.array(values).reshape(-1, len(gradient)), which)


def size(errors: np.ndarray) -> np.ndarray:
    """The sum of the positive entries; an error sums to zero."""
    half: np.ndarray = np.abs(errors).sum(-1) / 2
    return half


def are_sums(values: np.ndarray) -> np.ndarray:
    """Which columns ``(N, C)`` can be sums of errors, which add up to zero."""
    rounding = 10 * ROUNDING * np.abs(values).sum(-1)
    return np.asarray(np.abs(values.sum(-1)) < rounding)


def single_errors(values: np.ndarray, most: float) -> np.ndarray:
    """Columns that are one error, ``(R, C)``: of an error's form, and not the sum of two others.

    Args:
        values: different columns.
        most: the largest :func:`size` of an error.
    """
    small: np.ndarray = values[_has_form(values, most)]
    single: np.ndarray = small[~_sums_of_two(small, small)]
    return single


def errors_between(left: np.ndarray, errors: np.ndarray, most: float) -> np.ndarray:
    """Errors that no neuron shows alone, but several show beside one or two known ones.

    An unexplained column less known errors is a candidate where it has an error's form. It is taken
    for an error where other columns give the same, to rounding; those that most columns give come
    first, and what they explain counts for no other.
    """
    one, other = np.triu_indices(len(errors), 1)
    known = np.concatenate([errors, errors[one] + errors[other]])
    points, origins = [errors[:0]], [np.zeros(0, int)]
    for i in size(left).argsort():
        rest = left[i] - known
        points.append(rest[_has_form(rest, most)])
        origins.append(np.full(len(points[-1]), i))
        if sum(map(len, points)) > _CANDIDATES:
            break
    every, origin = np.concatenate(points), np.concatenate(origins)
    if not len(every):
        return every
    near = cKDTree(every).query_ball_point(every, 8 * ROUNDING * most)
    voters = [set(origin[n]) for n in near]
    chosen, explained = [], set[int]()
    for i in sorted(range(len(every)), key=lambda i: -len(voters[i])):
        if len(voters[i] - explained) >= max(2, len(voters[i]) / 2):
            chosen.append(every[i])
            explained |= voters[i]
    more: np.ndarray = np.array(chosen).reshape(-1, errors.shape[1])
    alone: np.ndarray = more[~_sums_of_two(more, np.concatenate([errors, more]))]
    return alone


def _has_form(values: np.ndarray, most: float) -> np.ndarray:
    """Which vectors have an error's form: one negative entry, and no more than one step's size."""
    tolerance = 2 * ROUNDING * np.abs(values).sum(-1, keepdims=True)
    one = (values < -tolerance).sum(-1) == 1
    return np.asarray(one & (size(values) <= most * (1 + 1e-4)) & are_sums(values))


def _sums_of_two(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Which values are the sum of two errors."""
    found = np.zeros(len(values), bool)
    if len(values):
        one, other = np.triu_indices(len(errors))
        sums = errors[one] + errors[other]
        radius = 4 * ROUNDING * np.abs(sums).sum(1).max()
        near, at = cKDTree(values).query(sums, distance_upper_bound=radius)
        found[at[np.isfinite(near)]] = True
    return found


def exact_subsets(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The subsets of errors ``(R, C)`` that the values ``(N, C)`` are sums of, to rounding.

    Returns:
        ``(N, R)`` of 0 and 1; rows of NaN where there is none, or none was found.
    """
    subsets = np.full((len(values), len(errors)), np.nan)
    if not len(errors):
        return subsets
    axes = np.linalg.svd(errors - errors.mean(0), full_matrices=False)[2]
    spread = (errors @ axes.T).std(0)
    axes, spread = axes[spread > _FLAT], spread[spread > _FLAT]
    parts = (errors @ axes.T / spread).T
    for i in np.flatnonzero(are_sums(values)):
        tolerance = ROUNDING * np.abs(values[i]).sum()
        wanted, apart = values[i] @ axes.T / spread, tolerance / spread
        program = LinearConstraint(parts, wanted - apart, wanted + apart)
        subsets[i] = _solved(np.ones(len(errors)), program, 0, _EXACT_NODES)
        if not np.abs(subsets[i] @ errors - values[i]).max() <= 2 * tolerance:
            subsets[i] = np.nan
    return subsets


def nearest_subsets(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """As :func:`exact_subsets`, with sums that need not be exact, of least absolute deviation."""
    classes = errors.shape[1]
    slack = np.hstack([errors.T, np.eye(classes), -np.eye(classes)])
    cost = np.concatenate([np.full(len(errors), _SPIKE), np.ones(2 * classes)])
    programs = (LinearConstraint(slack, value, value) for value in values)
    found = [_solved(cost, program, 2 * classes, _NEAREST_NODES) for program in programs]
    return np.array(found).reshape(-1, len(errors))


def _solved(cost: np.ndarray, program: LinearConstraint, slack: int, nodes: int) -> np.ndarray:
    """The binary unknowns of the least cost, before ``slack`` positive ones; NaN if none."""
    count = len(cost) - slack
    found = milp(
        cost,
        constraints=program,
        integrality=np.repeat([1, 0], [count, slack]),
        bounds=Bounds(0, np.repeat([1, np.inf], [count, slack])),
        options={"node_limit": nodes, "mip_rel_gap": 0.05 if slack else 0},
    )
    chosen: np.ndarray = np.full(count, np.nan) if found.x is None else found.x[:count].round()
    return chosen
