"""A lower bound on the epsilon of differential privacy, from one training run.

If each sample is in the training set with probability one half, independently, then under
``(epsilon, delta)``-differential privacy an attacker's guesses of who is can hardly be better than
those of randomised response. More right guesses refute the epsilon.

Reference: Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023,
Corollary 5.4 and Appendix D.

If the recipe has the trade-off curve of a Gaussian mechanism, as training with noise on the
gradients nearly has, the same guesses refute more.

Reference: Mahloujifar, Melis and Chaudhuri, "Auditing f-differential privacy in one run", ICML
2025, arXiv 2410.22235, Algorithm 3.
"""

import math
from statistics import NormalDist
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from brainleaks.evaluation.statistics import CONFIDENCE

DELTA = 1e-5
#: Shares of the samples about which a guess is made: the surest ones. Each has its part of the
#: probability of error.
_GUESSED = (0.02, 0.1, 0.5, 1.0)
_MOST = 50.0
_MOST_MU, _MU_STEP = 10.0, 1e-3
_NORMAL = NormalDist()


class Epsilon(TypedDict):
    """The bound, what it holds for, and the guesses that it comes from.

    ``gaussian`` is the bound for a recipe with the trade-off curve of a Gaussian mechanism.
    """

    low: float
    delta: float
    confidence: float
    samples: int
    guesses: int
    right: int
    gaussian: float


def epsilon(scores: ArrayLike, included: ArrayLike, confidence: float = CONFIDENCE) -> Epsilon:
    """The largest epsilon that the guesses refute, 0 if they refute none.

    The samples with the highest scores are guessed to be in the training set, and as many with the
    lowest not to be.

    Args:
        scores: ``(N,)``, larger for members.
        included: ``(N,)``, whether a sample was in the training set, which was decided by a fair
            coin for each.
        confidence: that the recipe is not ``(low, delta)``-differentially private.
    """
    values, inside = np.asarray(scores, np.float64), np.asarray(included, bool)
    order, count = np.argsort(values, kind="stable"), len(values)
    error = (1 - confidence) / len(_GUESSED)
    found: list[Epsilon] = []
    for share in _GUESSED:
        half = max(1, int(share * count / 2))
        right = int(inside[order[-half:]].sum() + (~inside[order[:half]]).sum())
        low = _refuted(count, 2 * half, right, error)
        found.append(
            Epsilon(
                low=low,
                delta=DELTA,
                confidence=confidence,
                samples=count,
                guesses=2 * half,
                right=right,
                gaussian=of_gaussian(_refuted_mu(count, 2 * half, right, error)),
            )
        )
    best = max(found, key=lambda one: one["low"])
    return {**best, "gaussian": max(one["gaussian"] for one in found)}


def p_value(samples: int, guesses: int, right: int, epsilon: float, delta: float = DELTA) -> float:
    """The probability of so many right guesses under ``(epsilon, delta)``-differential privacy.

    Corollary 5.4: at most that of a binomial variable ``W`` of ``guesses`` draws with probability
    ``e^epsilon / (1 + e^epsilon)``, plus ``2 delta samples`` times the largest
    ``P(right > W >= right - i) / i``.
    """
    probability = 1 / (1 + math.exp(-epsilon))
    tail = float(stats.binom.sf(right - 1, guesses, probability))
    i = np.arange(1, right + 1)
    below = np.cumsum(stats.binom.pmf(right - i, guesses, probability))
    steepest = float((below / i).max()) if right else 0.0
    return min(1.0, tail + 2 * delta * samples * steepest)


def _refuted(samples: int, guesses: int, right: int, error: float) -> float:
    def excess(epsilon: float) -> float:
        return p_value(samples, guesses, right, epsilon) - error

    if excess(0.0) >= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, _MOST, xtol=1e-6))


def of_gaussian(mu: float, delta: float = DELTA) -> float:
    """The epsilon at ``delta`` of a mechanism that is ``mu``-Gaussian differentially private.

    Reference: Dong, Roth and Su, "Gaussian differential privacy", JRSS B 2022, Corollary 1.
    """

    def excess(epsilon: float) -> float:
        first = stats.norm.cdf(mu / 2 - epsilon / mu)
        return float(first - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu)) - delta

    if mu <= 0 or excess(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, _MOST, xtol=1e-6)) if excess(_MOST) < 0 else _MOST


def refutes_gaussian(samples: int, guesses: int, right: int, mu: float, error: float) -> bool:
    """Whether so many right guesses have a probability below ``error`` under ``mu``.

    Algorithm 3 for a fair coin. ``named`` and ``wrong`` are its ``r`` and ``h``: averaged over the
    samples, the probabilities that at least ``i`` guesses are right and that the sample's own is
    right, or wrong. The trade-off curve allows ``wrong`` no less than ``Phi(Phi^-1(named) - mu)``.
    """
    named, wrong = error * right / samples, error * (guesses - right) / samples
    for i in range(right - 1, -1, -1):
        if not 0 < named < 1:
            return named >= 1
        least = max(wrong, _NORMAL.cdf(_NORMAL.inv_cdf(named) - mu))
        named += i / (guesses - i) * (least - wrong)
        wrong = least
    return named + wrong > guesses / samples


def _refuted_mu(samples: int, guesses: int, right: int, error: float) -> float:
    """The largest mu that the guesses refute, by bisection."""
    low, high = 0.0, _MOST_MU
    if not refutes_gaussian(samples, guesses, right, low, error):
        return 0.0
    while high - low > _MU_STEP:
        middle = (low + high) / 2
        if refutes_gaussian(samples, guesses, right, middle, error):
            low = middle
        else:
            high = middle
    return low
