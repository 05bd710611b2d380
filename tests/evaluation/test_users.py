"""Areas over users: scikit-learn, a case by hand, brute force, and simulations of nothing."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from brainleaks.evaluation.users import area, chance, claim, measured, over_users, rightly_ranked
from brainleaks.pipeline.user_networks import halves


def dealt(users, networks, seed=0):
    return halves(users, networks, torch.Generator().manual_seed(seed)).numpy()


def test_by_hand():
    """Two networks of four users. The first learned from users 0 and 1, which score 5 and 2."""
    scores = [[5, 2, 3, 2], [1, 4, 2, 0]]
    member = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], bool)
    # user 1 loses to user 2 and ties with user 3; in the second network user 2 beats user 0 alone
    expected = [[1, 0.25, 0.5, 0.75], [0.5, 0, 0.5, 0]]
    np.testing.assert_allclose(rightly_ranked(scores, member), expected)
    assert area(scores, member) == pytest.approx((0.625 + 0.25) / 2)


@pytest.mark.parametrize("users", [6, 7])
def test_areas_are_those_of_scikit_learn(users):
    member = dealt(users, 20)
    scores = np.random.default_rng(0).integers(0, 5, member.shape)
    each = [roc_auc_score(m, s) for m, s in zip(member, scores, strict=True)]
    assert area(scores, member) == pytest.approx(np.mean(each))


def test_the_interval_is_the_jackknife():
    member, draw = dealt(6, 20), np.random.default_rng(1)
    scores = draw.normal(size=member.shape) + member
    whole = np.mean([roc_auc_score(m, s) for m, s in zip(member, scores, strict=True)])
    pseudo = []
    for user in range(6):
        rest = zip(np.delete(member, user, 1), np.delete(scores, user, 1), strict=True)
        pseudo.append(6 * whole - 5 * np.mean([roc_auc_score(m, s) for m, s in rest]))
    plain = stats.ttest_1samp(pseudo, 0).confidence_interval(0.95)
    doubting = stats.ttest_1samp([*pseudo, 0.5], 0).confidence_interval(0.95)
    found = over_users(scores, member)
    assert found["value"] == pytest.approx(whole)
    assert found["low"] == pytest.approx(min(plain.low, doubting.low))
    assert found["high"] == pytest.approx(min(1, max(plain.high, doubting.high)))


def test_six_users_who_are_all_recognised_do_not_show_certainty():
    member = dealt(6, 20)
    found = measured(member * 1.0, member)
    # six times 1 and once 0.5: mean 13/14, standard error 1/14, t of six degrees of freedom 2.447
    assert found["auc"] == {"value": 1, "low": pytest.approx(0.75379, abs=1e-4), "high": 1}
    assert found["separated"] == 20
    assert found["p"] == pytest.approx(2**-10)
    reversed_ = measured(-1.0 * member, member)
    assert reversed_["auc"] == {"value": 0, "low": 0, "high": pytest.approx(0.24621, abs=1e-4)}
    assert reversed_["p"] == 1


def test_chance_counts_every_exchange():
    areas = np.random.default_rng(0).random(12)
    pairs = areas.reshape(6, 2).mean(1) - 0.5
    exchanged = [np.mean(pairs * s) for s in itertools.product([1, -1], repeat=6)]
    p, low, high = chance(areas)
    assert p == pytest.approx(np.mean(np.array(exchanged) >= pairs.mean() - 1e-12))
    np.testing.assert_allclose([low, high], np.quantile(exchanged, [0.025, 0.975]) + 0.5)


def test_nothing_is_found_where_users_and_networks_differ_and_nothing_leaks():
    """Simulated scores, calibrated as by the calibrated loss, of which membership is no part."""
    draw, areas, p_values, above = np.random.default_rng(0), [], [], []
    for seed in range(200):
        member = dealt(6, 12, seed)
        losses = 2 * draw.normal(size=6) + draw.normal(size=(12, 1)) + draw.normal(size=(12, 6))
        scores = np.empty_like(losses)
        for k in range(12):
            others = [j for j in range(12) if j // 2 != k // 2]
            outside = ~member[others]
            scores[k] = losses[k] - (losses[others] * outside).sum(0) / outside.sum(0)
        found = measured(scores, member)
        areas.append(found["auc"]["value"])
        p_values.append(found["p"])
        above.append(found["auc"]["low"] > 0.5)
    assert abs(np.mean(areas) - 0.5) < 3 * np.std(areas) / 200**0.5
    # at most 5 % and 2.5 %, within three standard errors of 200 simulations
    assert np.mean(np.array(p_values) < 0.05) < 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert np.mean(above) < 0.025 + 3 * (0.025 * 0.975 / 200) ** 0.5


def test_the_claim_corrects_for_the_number_of_attacks():
    entry = {"auc": {"value": 0.8, "low": 0.6, "high": 1.0}, "p": 0.02}
    assert claim({"one": entry}, 12)["shown"] is True
    three = claim(dict.fromkeys(("one", "two", "three"), entry), 12)
    assert three["shown"] is False
    assert three["opposes"][0].startswith("one ranks users of the training set above others in 80")
    assert claim({}, 12)["shown"] is None


def test_halves_are_every_division_and_both_of_its_sides():
    found = dealt(6, 20)
    assert len({tuple(row) for row in found}) == 20
    assert (found.sum(1) == 3).all()
    assert (found[::2] ^ found[1::2]).all()
    many = dealt(30, 8)
    assert (many.sum(1) == 15).all()
    assert (many.sum(0) == 4).all()
    odd = dealt(5, 24)
    assert sorted(odd.sum(1)) == [2] * 12 + [3] * 12
    assert (odd.sum(0) == 12).all()
