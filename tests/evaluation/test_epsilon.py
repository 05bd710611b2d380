"""The lower bound on epsilon: the paper's figures, and mechanisms whose epsilon is known."""

import math

import numpy as np
import pytest
from scipy import stats

from brainleaks.evaluation.epsilon import epsilon, p_value


def test_against_the_sum_written_out():
    """Corollary 5.4, term by term."""
    m, r, v, eps, delta = 400, 60, 48, 1.2, 1e-4
    q = math.exp(eps) / (1 + math.exp(eps))

    def at_least(k):
        return sum(math.comb(r, j) * q**j * (1 - q) ** (r - j) for j in range(max(k, 0), r + 1))

    steepest = max((at_least(v - i) - at_least(v)) / i for i in range(1, v + 1))
    assert p_value(m, r, v, eps, delta) == pytest.approx(at_least(v) + 2 * m * delta * steepest)
    assert p_value(100, 100, 75, math.log(3), 0.0) == pytest.approx(stats.binom.sf(74, 100, 0.75))


@pytest.mark.parametrize("true", [0.0, 1.0, 3.0])
def test_randomised_response_is_never_said_to_leak_more_than_it_does(true):
    """Each sample's bit is told rightly with probability e^epsilon / (1 + e^epsilon)."""
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        included = rng.random(600) < 0.5
        told = included ^ (rng.random(600) > 1 / (1 + math.exp(-true)))
        found.append(epsilon(told + 1e-6 * rng.random(600), included)["low"])
    assert np.mean(np.array(found) > true) <= 0.05
    assert np.mean(found) > 0.6 * true


def test_perfect_guesses_are_bounded_by_their_number():
    included = np.random.default_rng(0).random(1000) < 0.5
    found = epsilon(included.astype(float), included)
    assert found["right"] == found["guesses"]
    assert 3 < found["low"] < 7
    few = epsilon(included[:50].astype(float), included[:50])
    assert few["low"] < found["low"]


def test_guesses_that_are_wrong_show_nothing():
    included = np.random.default_rng(0).random(300) < 0.5
    assert epsilon(-included.astype(float), included)["low"] == 0.0
