"""Means and intervals over seeds, beside the printed figures."""

import math

import pytest

from brainleaks.report.summary import departures, excludes, interval


def test_interval_by_hand():
    """Three seeds: standard error 0.1 / sqrt(3), Student's t(0.975, 2) = 4.3027."""
    found = interval([0.5, 0.6, 0.7], printed=0.4)
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert found["mean"] == pytest.approx(0.6)
    assert found["low"] == pytest.approx(0.6 - half, abs=1e-6)
    assert found["high"] == pytest.approx(0.6 + half, abs=1e-6)
    assert found["values"] == [0.5, 0.6, 0.7]


def test_interval_stays_among_shares():
    """Two seeds, t(0.975, 1) = 12.7: what lies beyond 0 and 1 is no share."""
    found = interval([0.8, 1.0])
    assert (found["low"], found["high"]) == (0.0, 1.0)


def test_one_seed_has_no_interval():
    found = interval([0.7], printed=0.1)
    assert (found["mean"], found["low"], found["high"]) == (0.7, None, None)
    assert not excludes(found)


@pytest.mark.parametrize(
    ("values", "printed", "outside"),
    [
        ([1.0, 1.0, 1.0], 1.0, False),
        ([1.0, 1.0, 1.0], 0.931, True),
        ([0.9314, 0.9314], 0.931, False),  # printed to three digits
        ([0.9316, 0.9316], 0.931, True),
        ([0.2, 0.9, 0.5], 0.4, False),
        ([0.2, 0.9, 0.5], None, False),
    ],
)
def test_what_excludes_a_printed_figure(values, printed, outside):
    assert excludes(interval(values, printed)) == outside


def cell(**metrics):
    return {
        "target": {"test_accuracy": interval([0.9, 0.9], 0.95)},
        "evaluators": {"judge": {"test_accuracy": interval([0.9, 0.9], 0.9)}},
        "attacks": [
            {
                "name": "attack",
                "metrics": {
                    key: metrics.get(key, interval([1.0, 1.0], 1.0))
                    for key in ("attack_accuracy", "top3_accuracy", "confidence", "daa")
                },
            }
        ],
    }


def test_departures_are_named():
    assert departures(cell(daa=interval([0.4, 0.4], 0.5))) == [
        "test accuracy of target",
        "DAA of attack",
    ]
