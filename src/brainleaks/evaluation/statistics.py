"""Intervals and paired tests by SciPy, corrections of several tests, and agreement.

The unit is a class, its reconstructions averaged: they share all that is particular to the class,
so that counting them one by one would claim more evidence than there is. Several runs, which differ
in their seeds, make a table of runs and classes. Both are resampled, independently: the classes
of a run share its target, and the runs share the classes (Owen 2007, "The pigeonhole bootstrap").

Fewer than five classes cannot be resampled. The rows of the table, which are runs or the
reconstructions of one run, are resampled instead, if there are at least five: the result then holds
for these classes, and not for others that might have been in their place.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
_RESAMPLES = 9999
#: With fewer classes, rows are the unit, of which there must be as many.
FEWEST = 5


class Interval(TypedDict):
    """A mean and its bootstrap interval; all ``None`` where nothing was measured."""

    value: float | None
    low: float | None
    high: float | None


class Difference(TypedDict):
    """A paired difference of means, its interval, and how it compares with chance.

    ``p`` is two-sided, of a permutation test that swaps the two sides of each unit, and ``effect``
    Cohen's d of the paired differences, ``None`` where they are all the same. The units are the
    classes, each averaged over the rows, or the rows, where classes are few (:func:`few`).
    ``classes`` says how many units there are.
    """

    difference: float
    low: float
    high: float
    p: float
    effect: float | None
    classes: int


def few(table: NDArray[np.float64]) -> bool:
    """Whether rows are the unit of a table ``(R, C)``, as it has too few classes."""
    rows, classes = table.shape
    return bool(classes < FEWEST <= rows)


def interval(values: ArrayLike) -> Interval:
    """The mean and its percentile bootstrap interval.

    Args:
        values: one a class, ``(C,)``, or of several rows ``(R, C)``; a class with NaN is left out.
    """
    kept = _measured(values)
    if not kept.size:
        return Interval(value=None, low=None, high=None)
    low, high = _bootstrap(kept)
    return Interval(value=float(kept.mean()), low=low, high=high)


def paired(first: ArrayLike, second: ArrayLike) -> Difference | None:
    """How much larger the first is than the second, class by class.

    Args:
        first: one value a class, ``(C,)``, or of several rows ``(R, C)``.
        second: of the same classes, in the same order, and of as many rows or one; a class with NaN
            is left out.

    Returns:
        ``None`` if fewer than two classes are left.
    """
    table = _measured(np.asarray(first, np.float64) - np.asarray(second, np.float64))
    if table.shape[1] < 2:
        return None
    low, high = _bootstrap(table)
    differences = table.mean(1 if few(table) else 0)
    test = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        rng=np.random.default_rng(0),
    )
    spread = float(differences.std(ddof=1))
    mean = float(differences.mean())
    return Difference(
        difference=mean,
        low=low,
        high=high,
        p=float(test.pvalue),
        effect=mean / spread if spread > 1e-12 else None,
        classes=len(differences),
    )


def smallest_p(classes: int) -> float:
    """The least two-sided p that a permutation test of so many paired classes can give."""
    return float(max(2 / 2**classes, 2 / (_RESAMPLES + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values with Holm's correction for multiple tests (Holm 1979).

    Written out, as is Fleiss' kappa below: a library that has both weighs 150 MB.
    """
    p = np.asarray(p_values, np.float64)
    order = p.argsort()
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return [float(value) for value in corrected]


class Agreement(TypedDict):
    """How often judges predict the same class.

    ``pairs`` is the share of pairs of judges that agree, mean over reconstructions; ``kappa`` is
    Fleiss' kappa, which is 0 for the agreement of chance and 1 for all; ``None`` where it is not
    defined, as all judges named one class throughout.
    """

    pairs: float
    kappa: float | None


def agreement(named: NDArray[np.int64]) -> Agreement:
    """Agreement of judges.

    Args:
        named: ``(reconstructions, judges)``, the class that each judge names.
    """
    classes, judges = np.unique(named), named.shape[1]
    counts = (named[:, :, None] == classes).sum(1)
    pairs = float(((counts**2).sum(1) - judges).mean() / (judges * (judges - 1)))
    by_chance = float(((counts.sum(0) / counts.sum()) ** 2).sum())
    if len(classes) == 1:
        return Agreement(pairs=pairs, kappa=None)
    return Agreement(pairs=pairs, kappa=(pairs - by_chance) / (1 - by_chance))


def _bootstrap(table: NDArray[np.float64]) -> tuple[float, float]:
    """The interval of a table's mean, with runs and classes resampled, or rows alone."""
    if np.ptp(table) == 0:  # nothing varies, so there is nothing to resample
        return float(table.flat[0]), float(table.flat[0])
    runs, classes = map(np.arange, table.shape)
    several = len(runs) > 1 and not few(table)
    units = table.mean(1) if few(table) else table[0]

    def mean(r: NDArray[np.int64], c: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        drawn: NDArray[np.float64] = table[r[..., :, None], c[..., None, :]].mean((-2, -1))
        return drawn

    result = stats.bootstrap(
        (runs, classes) if several else (units,),
        mean if several else np.mean,
        vectorized=True,
        confidence_level=CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _measured(values: ArrayLike) -> NDArray[np.float64]:
    """``(R, C)``, without the classes that were not measured in every run."""
    table = np.atleast_2d(np.asarray(values, np.float64))
    return table[:, np.isfinite(table).all(0)]
