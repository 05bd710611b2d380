"""What DP-SGD spends: Renyi differential privacy of the subsampled Gaussian mechanism."""

import math
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

from brainleaks.errors import InputError

_ORDERS = np.concatenate([np.arange(1.05, 12, 0.05), np.arange(12.0, 64), 2.0 ** np.arange(6, 11)])
#: Points of the integral in one standard deviation of the noise.
_POINTS = 12
_LEAST_NOISE, _MOST_NOISE = 0.1, 1000.0


def epsilon(*, noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon of ``steps`` steps, each on a Poisson sample, for adding or removing one sample.

    Args:
        noise_multiplier: standard deviation of the noise over the largest norm of a sample's
            gradient.
        sampling_rate: the probability with which a sample is in a step, in (0, 1].
        steps: how many.
        delta: the probability with which epsilon may fail, in (0, 1).

    Reference: Mironov, Talwar and Zhang, "Renyi differential privacy of the sampled Gaussian
    mechanism", arXiv 1908.10530, sections 3.1 and 3.3; from Renyi divergence to epsilon: Balle,
    Barthe, Gaboardi, Hsu and Sato, "Hypothesis testing interpretations and Renyi differential
    privacy", AISTATS 2020, Theorem 21.
    """
    divergence = steps * np.array([renyi(a, noise_multiplier, sampling_rate) for a in _ORDERS])
    found = divergence + np.log1p(-1 / _ORDERS) - np.log(delta * _ORDERS) / (_ORDERS - 1)
    return max(0.0, float(found.min()))


def renyi(order: float, noise_multiplier: float, sampling_rate: float) -> float:
    """The Renyi divergence of one step, of an order above 1.

    With noise ``z ~ N(0, s^2)`` and sampling rate ``q`` it is
    ``log E[(1 - q + q exp((2 z - 1) / (2 s^2)))^order] / (order - 1)``. The expectation is summed
    on an even grid, whose error falls exponentially in the number of points.
    """
    if sampling_rate == 1:
        return order / (2 * noise_multiplier**2)
    width = noise_multiplier / _POINTS
    z = np.arange(-12 * noise_multiplier, order + 12 * noise_multiplier, width)
    shifted = math.log(sampling_rate) + (2 * z - 1) / (2 * noise_multiplier**2)
    likelihood = np.logaddexp(math.log1p(-sampling_rate), shifted)
    density = -((z / noise_multiplier) ** 2) / 2 - math.log(_POINTS * math.sqrt(2 * math.pi))
    return float(logsumexp(density + order * likelihood)) / (order - 1)


@cache
def noise_for(*, budget: float, sampling_rate: float, steps: int, delta: float) -> float:
    """The smallest noise multiplier whose epsilon is at most ``budget``, to 0.1 %.

    Raises:
        InputError: if no noise multiplier up to 1,000 is enough.
    """

    def over(log_noise: float) -> float:
        noise = math.exp(log_noise)
        spent = epsilon(
            noise_multiplier=noise, sampling_rate=sampling_rate, steps=steps, delta=delta
        )
        return spent - budget

    low, high = math.log(_LEAST_NOISE), math.log(_MOST_NOISE)
    if over(high) > 0:
        raise InputError(
            f"defences: dp-sgd cannot reach epsilon {budget:g} at delta {delta:g} in {steps:,} "
            f"steps, even with {_MOST_NOISE:g} times the gradient's norm as noise; raise epsilon, "
            "or train for fewer steps."
        )
    if over(low) <= 0:
        return _LEAST_NOISE
    return math.exp(float(brentq(over, low, high, xtol=5e-4)) + 5e-4)
