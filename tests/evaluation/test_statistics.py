"""Intervals, tests and agreement against values worked out elsewhere."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from statsmodels.stats.multitest import multipletests

from brainleaks.evaluation.statistics import agreement, holm, interval, paired


def test_interval_of_many_clusters_is_that_of_the_normal():
    values = np.random.default_rng(1).normal(0.3, 0.1, 400)
    found = interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert found["value"] == pytest.approx(values.mean())
    assert found["low"] == pytest.approx(values.mean() - half, abs=half / 10)
    assert found["high"] == pytest.approx(values.mean() + half, abs=half / 10)


def test_interval_leaves_out_what_was_not_measured():
    assert interval([0.5, float("nan"), 0.5]) == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert interval([float("nan")]) == {"value": None, "low": None, "high": None}


def test_paired_swaps_the_sides_of_each_cluster():
    """Five differences of one sign: of the 32 ways to swap them, two are as extreme."""
    found = paired([2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 1.0, 1.0, 1.0, 1.0])
    assert found["difference"] == 3
    assert found["p"] == pytest.approx(2 / 32)
    assert found["effect"] == pytest.approx(3 / np.std([1, 2, 3, 4, 5], ddof=1))
    assert found["classes"] == 5
    assert 1 < found["low"] < 3 < found["high"] < 5


def test_paired_agrees_with_the_t_test_where_that_holds():
    rng = np.random.default_rng(2)
    first = rng.normal(0, 1, 200)
    second = first + rng.normal(0.1, 1, 200)
    found = paired(first, second)
    assert found["p"] == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=0.02)


def test_classes_that_seeds_share_are_counted_once():
    """Ten classes that differ much, seeds that differ little: more seeds are no more classes."""
    rng = np.random.default_rng(4)
    effects = rng.normal(0, 1, 10)
    table = effects + rng.normal(0, 0.1, (8, 10))
    one, many = interval(table[0]), interval(table)
    assert many["high"] - many["low"] > 0.9 * (one["high"] - one["low"])
    assert paired(table, np.zeros_like(table))["classes"] == 10


def test_seeds_that_classes_share_are_counted_once():
    """Forty classes alike, three seeds that differ: the interval is that of the seeds."""
    table = np.array([[0.1], [0.5], [0.9]]) + np.random.default_rng(5).normal(0, 0.01, (3, 40))
    found = interval(table)
    assert found["low"] < 0.25
    assert found["high"] > 0.75


def test_a_class_that_one_run_lacks_is_left_out():
    assert interval([[0.5, float("nan")], [0.5, 0.9]])["value"] == 0.5


def test_few_classes_are_not_resampled():
    """Two classes that differ much: the interval is that of the rows, by Student's t."""
    rows = np.random.default_rng(6).normal([0.2, 0.7], 0.1, (60, 2))
    found = interval(rows)
    each = rows.mean(1)
    half = stats.t.ppf(0.975, 59) * each.std(ddof=1) / np.sqrt(60)
    assert found["value"] == pytest.approx(rows.mean())
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.1)


def test_few_classes_are_paired_by_rows():
    """Five rows of one sign, against a single row: two of 32 ways to swap are as extreme."""
    rows = np.array([[2.0, 4.0], [3.0, 5.0], [4.0, 6.0], [5.0, 7.0], [6.0, 8.0]])
    found = paired(rows, [[1.0, 3.0]])
    assert found["difference"] == 3
    assert found["p"] == pytest.approx(2 / 32)
    assert found["classes"] == 5


def test_nothing_to_pair():
    assert paired([1.0], [0.0]) is None
    assert paired([1.0, 2.0], [float("nan"), 0.0]) is None


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_holm_and_kappa_as_statsmodels_has_them(seed):
    rng = np.random.default_rng(seed)
    p_values = rng.uniform(0, 0.2, 1 + 7 * seed).round(2)
    assert holm(list(p_values)) == pytest.approx(multipletests(p_values, method="holm")[1])
    named = rng.integers(0, 2 + seed, (30, 4))
    assert agreement(named)["kappa"] == pytest.approx(fleiss_kappa(aggregate_raters(named)[0]))


def test_agreement_of_fleiss_own_example():
    """Fleiss (1971), by way of its textbook table: 10 subjects, 14 raters, kappa 0.210."""
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    named = np.array([np.repeat(range(5), row) for row in table])
    found = agreement(named)
    assert found["kappa"] == pytest.approx(0.210, abs=5e-4)
    assert found["pairs"] == pytest.approx(0.378, abs=5e-4)


def test_agreement_where_all_say_the_same():
    assert agreement(np.zeros((4, 3), dtype=int)) == {"pairs": 1.0, "kappa": None}
