"""Audits from a training loop and from a test suite."""

import numpy as np
import pytest
import torch
from torch import nn

from brainleaks import InputError
from brainleaks.data import digits
from brainleaks.evaluation.levels import no_claim
from brainleaks.evaluation.verdict import decide, shows
from brainleaks.networks import SpikingMLP
from brainleaks.neuron import FastSigmoid
from brainleaks.testing import assert_leaks_at_most
from brainleaks.tracking import LeakageTracker

QUICK = {
    "holdout": 0.2,
    "steps": 5,
    "attacks": "brainleaks-v1",
    "settings": [
        "judging={judge_steps: 4, reconstructions: 1, controls: [noise]}",
        "attacks.brainleaks-v1.iterations=2",
        "draws=2",
    ],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    whole = digits.load(tmp_path_factory.mktemp("data"))
    return whole.train.inputs[:200, 0].numpy(), whole.train.labels[:200].numpy()


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINLEAKS_STORE", str(tmp_path / "store"))
    torch.manual_seed(0)
    return SpikingMLP((1, 8, 8), 10, hidden=20, beta=0.7, surrogate=FastSigmoid(40))


def test_every_few_epochs_numbers_are_logged_and_training_goes_on_as_if_nothing_was(network, data):
    logged = []
    tracker = LeakageTracker(data, log=logged.append, every=2, budget=None, **QUICK)
    network.train()
    network.extra = nn.Dropout()
    network.extra.eval()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    returned = [tracker(network, epoch) for epoch in range(4)]
    assert torch.equal(torch.rand(3), expected)
    assert network.training
    assert not network.extra.training
    assert all(weight.requires_grad for weight in network.parameters())
    assert [result is not None for result in returned] == [False, True, False, True]
    assert tracker.results == {1: returned[1], 3: returned[3]}
    assert [numbers["epoch"] for numbers in logged] == [1, 3]
    levels = returned[1].verdict["levels"]
    measured = {f"leakage/{r['name']}": r["value"] for r in levels if r["value"] is not None}
    assert measured.items() <= logged[0].items()
    assert all(isinstance(value, float) for value in logged[0].values())
    first, second = (r.results["target"]["test_accuracy"] for r in (returned[1], returned[3]))
    assert first == second  # it was not trained


def test_what_was_left_out_for_the_budget_is_left_out_of_every_audit(network, data):
    settings = [*QUICK["settings"], "judging.judge_steps=160"]
    how = QUICK | {"settings": settings}
    tracker = LeakageTracker(data, log=lambda numbers: None, every=1, budget=1e-6, **how)
    studies = []
    for epoch in range(2):
        studies.append(tracker(network, epoch).study)
        for weight in network.parameters():
            weight.data *= 1.5
    assert (
        "half of the training of judges and controls (150 steps are left)" in studies[0].description
    )
    assert studies[0] == studies[1]
    first, second = tracker.results.values()
    assert first.provenance["weights"] != second.provenance["weights"]


def test_the_first_failure_is_raised_and_later_ones_are_warnings(network, data, monkeypatch):
    tracker = LeakageTracker(data, log=lambda numbers: None, every=1, budget=None, **QUICK)

    def broken(*_, **__):
        raise RuntimeError("out of memory\nmore")

    with monkeypatch.context() as patch:
        patch.setattr("brainleaks.tracking.run", broken)
        with pytest.raises(RuntimeError, match="out of memory"):
            tracker(network, 0)
    assert tracker(network, 1) is not None
    monkeypatch.setattr("brainleaks.tracking.run", broken)
    with pytest.warns(RuntimeWarning, match=r"the audit after epoch 2 failed: out of memory$"):
        assert tracker(network, 2) is None


def test_arguments_that_audit_has_not_are_refused(network, data):
    with pytest.raises(TypeError, match="unexpected keyword argument 'holdoutt'"):
        LeakageTracker(data, log=print, every=1, holdoutt=0.2)(network, 0)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({1: True, 2: False}, [True, False, None, None]),
        ({1: False, 2: None}, [False, None, None, None]),
        ({2: False, 3: True, 4: False}, [True, True, True, False]),
    ],
)
def test_a_check_needs_evidence(levels, expected):
    claims = [no_claim("kind", n, "Said.", []) | {"shown": yes} for n, yes in levels.items()]
    assert [shows(decide(claims), level) for level in (1, 2, 3, 4)] == expected


def test_an_assertion_says_what_the_audit_found(network, data, monkeypatch):
    """An untrained network: too few judges are trained to decide, so that nothing passes."""
    with pytest.raises(AssertionError, match=r"^Level 2 \(recognisable class content\) is inc"):
        assert_leaks_at_most(network, data, **QUICK)
    claims = [no_claim("kind", n, "Said.", []) | {"shown": n == 2} for n in (1, 2, 3, 4)]
    found = decide(claims)
    monkeypatch.setattr("brainleaks.result.Result.verdict", found)
    with pytest.raises(AssertionError, match=r"^At most level 1 is accepted. Leak \(level 2 of 4"):
        assert_leaks_at_most(network, data, **QUICK)
    assert assert_leaks_at_most(network, data, level=2, **QUICK).verdict == found
    with pytest.raises(InputError, match=r"^level=4: expected one of 0 to 3"):
        assert_leaks_at_most(network, data, level=4)


def test_values_that_numpy_makes_are_logged_as_numbers(network, data):
    logged = []
    arrays = np.asarray(data[0], np.float64), data[1].astype(np.int8)
    LeakageTracker(arrays, log=logged.append, every=1, budget=None, **QUICK)(network, 0)
    assert logged[0]["leakage/seconds"] > 0
