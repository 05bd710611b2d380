"""How well scores distinguish members: against scikit-learn, the bootstrap, and cases by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from brainleaks.evaluation.membership import (
    auc,
    balanced_accuracy,
    measured,
    roc,
    share,
    shift,
    tail,
    tpr_at,
)


def drawn(seed, members=120, others=150, apart=0.5, ties=False):
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(apart, 1, members), rng.normal(0, 1, others)])
    return (scores.round(0) if ties else scores), np.arange(members + others) < members


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_is_scikit_learns(ties):
    scores, member = drawn(0, ties=ties)
    expected = roc_auc_score(member, scores)
    assert auc(scores[member], scores[~member])["value"] == pytest.approx(expected, abs=1e-12)


def test_the_areas_interval_is_that_of_the_bootstrap():
    scores, member = drawn(1, 400, 300)
    found = auc(scores[member], scores[~member])
    resampled = stats.bootstrap(
        (scores[member], scores[~member]),
        lambda x, y: stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)),
        vectorized=False, n_resamples=1000, method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert found["low"] == pytest.approx(resampled.low, abs=0.006)
    assert found["high"] == pytest.approx(resampled.high, abs=0.006)


def test_the_areas_interval_covers_the_truth():
    truth = float(stats.norm.cdf(0.5 / 2**0.5))
    inside = 0
    for seed in range(300):
        scores, member = drawn(seed)
        found = auc(scores[member], scores[~member])
        inside += found["low"] <= truth <= found["high"]
    assert inside / 300 == pytest.approx(0.95, abs=0.03)


def test_rates_by_hand():
    members, others = [5, 4, 3, 3, 1], [4, 3, 2, 1, 0, 0, 0, 0, 0, 0]
    assert tpr_at(members, others, 0.1) == (2, 1)  # above 3: 5 and 4; of the others, 4
    assert tpr_at(members, others, 0.05) == (1, 0)  # above 4
    assert tpr_at(members, others, 0.2) == (4, 2)
    assert tpr_at([1, 1], [1, 1], 0.5) == (0, 0)  # a constant score finds nobody
    assert tpr_at(members, others, 1) == (5, 10)


def test_a_share_of_none_and_of_all():
    assert share(0, 10)["low"] == 0
    assert share(0, 10)["high"] == pytest.approx(1 - 0.025 ** (1 / 10))
    assert share(10, 10)["low"] == pytest.approx(0.025 ** (1 / 10))


def test_the_best_balanced_accuracy():
    scores, member = drawn(2, ties=True)
    of_each = [balanced_accuracy_score(member, scores >= t) for t in np.unique(scores)]
    found = balanced_accuracy(scores[member], scores[~member])
    assert found == pytest.approx(max(of_each))


def test_no_rate_is_finer_than_the_samples_allow():
    scores, member = drawn(3, 50, 50)
    found = measured(scores, member, attacks=1)
    assert found["tpr_at_fpr"] == {}
    assert found["finest_fpr"] == found["leak"]["fpr"] == 0.02
    assert min(fpr for fpr, _ in found["roc"]) >= 0.02
    scores, member = drawn(3, 50, 200)
    assert measured(scores, member, attacks=1)["tpr_at_fpr"].keys() == {"0.01"}


@pytest.mark.parametrize(("members", "others"), [(320, 80), (300, 300), (2000, 2000)])
def test_chance_rarely_shows_a_leak(members, others):
    """Eight attacks whose scores are noise, 200 times: the audit finds a leak in at most 5 %."""
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        member = np.arange(members + others) < members
        found = [
            measured(rng.normal(size=len(member)), member, attacks=8)["leak"] for _ in range(8)
        ]
        alarms += any(leak["tpr"]["low"] > leak["false"]["high"] for leak in found)
    assert alarms <= 10


def test_a_curve_ends_where_all_are_found():
    scores, member = drawn(4)
    points = roc(scores[member], scores[~member])
    assert points[-1][1] == 1
    assert points == sorted(points)


def test_parts_that_differ_are_told_apart_and_parts_that_do_not_are_not():
    rng = np.random.default_rng(0)
    same = shift(rng.normal(size=(200, 20)), rng.normal(size=(150, 20)))
    other = shift(rng.normal(size=(200, 20)), rng.normal(0.5, 1, size=(150, 20)))
    assert same["low"] < 0.5 < same["high"]
    assert other["low"] > 0.8


def test_tail_is_the_true_negative_rate_at_few_false_negatives():
    """Of 200 members, the two lowest may be missed: what lies below the third is counted."""
    members = np.arange(200.0) + 10
    others = np.array([11.5, 12.0, 5.0, 100.0])
    assert tail(members, others)["value"] == 0.5  # 5 and 11.5 are below 12; 12 itself is not
    assert tail(members, members)["value"] == pytest.approx(0.01)
