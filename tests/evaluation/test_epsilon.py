"""The lower bound on epsilon: the paper's figures, and mechanisms whose epsilon is known."""

import math

import numpy as np
import pytest
from scipy import stats

from brainleaks.evaluation.epsilon import epsilon, of_gaussian, p_value, refutes_gaussian


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


@pytest.mark.parametrize("mu", [0.5, 1.5])
def test_a_gaussian_mechanism_is_never_said_to_leak_more_than_it_does(mu):
    """Each sample's bit is added, mu times, to normal noise; and the bound is the tighter one."""
    found, plain = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        included = rng.random(400) < 0.5
        bound = epsilon(included * mu + rng.normal(size=400), included)
        found.append(bound["gaussian"])
        plain.append(bound["low"])
    assert np.mean(np.array(found) > of_gaussian(mu)) <= 0.05
    assert np.mean(found) > 1.2 * np.mean(plain)


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("right", [130, 150, 170])
def test_what_is_refuted_has_at_most_that_probability(mu, right):
    """Guesses of all samples, by the sign of the output, are right with Phi(mu/2)."""
    chance = stats.binom.sf(right - 1, 200, stats.norm.cdf(mu / 2))
    errors = np.geomspace(1e-12, 0.5, 60)
    refuted = [error for error in errors if refutes_gaussian(200, 200, right, mu, error)]
    assert not refuted or min(refuted) >= chance * (1 - 1e-9)
    assert refutes_gaussian(200, 200, 200, 0.1, 1e-6)


def test_the_epsilon_of_a_gaussian_mechanism():
    """delta = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu)."""
    found = of_gaussian(1.0)
    tails = stats.norm.cdf([0.5 - found, -0.5 - found])
    assert tails[0] - math.exp(found) * tails[1] == pytest.approx(1e-5, rel=1e-3)
    assert of_gaussian(0.0) == 0.0
