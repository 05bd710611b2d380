"""Intervals, paired tests and agreement, all by SciPy and statsmodels.

The unit is a *cluster*: one class in one run, its reconstructions averaged. Reconstructions of one
class share all that is particular to it, so that counting them one by one would claim more evidence
than there is.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
_RESAMPLES = 9999


class Interval(TypedDict):
    """A mean over clusters and its bootstrap interval; all ``None`` where nothing was measured."""

    value: float | None
    low: float | None
    high: float | None


class Difference(TypedDict):
    """A paired difference of means, its interval, and how it compares with chance.

    ``p`` is two-sided, of a permutation test that swaps the two sides of each cluster; ``effect``
    is Cohen's d of the paired differences, ``None`` where they are all the same.
    """

    difference: float
    low: float
    high: float
    p: float
    effect: float | None
    clusters: int


def interval(values: ArrayLike) -> Interval:
    """The mean of clusters and its percentile bootstrap interval; NaN entries are left out."""
    kept = _finite(np.asarray(values, np.float64))
    if not len(kept):
        return Interval(value=None, low=None, high=None)
    low, high = _bootstrap(kept)
    return Interval(value=float(kept.mean()), low=low, high=high)


def paired(first: ArrayLike, second: ArrayLike) -> Difference | None:
    """How much larger the first is than the second, cluster by cluster.

    Args:
        first: one value a cluster.
        second: of the same clusters, in the same order; pairs with NaN are left out.

    Returns:
        ``None`` if fewer than two pairs are left.
    """
    differences = _finite(np.asarray(first, np.float64) - np.asarray(second, np.float64))
    if len(differences) < 2:
        return None
    low, high = _bootstrap(differences)
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
        clusters=len(differences),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for how many they are, after Holm (1979)."""
    from statsmodels.stats.multitest import multipletests  # slow to import

    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


class Agreement(TypedDict):
    """How far judges name the same classes.

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
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa  # slow to import

    judges = named.shape[1]
    counts, _ = aggregate_raters(named)
    pairs = float(((counts**2).sum(1) - judges).mean() / (judges * (judges - 1)))
    if len(np.unique(named)) == 1:
        return Agreement(pairs=pairs, kappa=None)
    return Agreement(pairs=pairs, kappa=float(fleiss_kappa(counts)))


def _bootstrap(values: NDArray[np.float64]) -> tuple[float, float]:
    if len(values) == 1 or np.ptp(values) == 0:  # nothing varies: nothing to draw anew
        return float(values[0]), float(values[0])
    result = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
