"""An audit within a time: what is left out, in which order, and that the estimate is one."""

import dataclasses
import re
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from brainleaks import InputError
from brainleaks.audit import Inputs, costs, plan, run, within
from brainleaks.audit.budget import fit, seconds_of, shown
from brainleaks.audit.costs import Costs
from brainleaks.data import digits
from brainleaks.networks import SpikingMLP
from brainleaks.neuron import FastSigmoid
from brainleaks.pipeline import Cache
from test_cli import brainleaks, refused

ATTACKS = ("brainleaks-v1", "brainleaks-v2", "pattern-inversion", "smooth-inversion")
COSTS = Costs(
    samples=1000,
    tested=500,
    classes=10,
    target_step=0.1,
    evaluator_step=0.1,
    judges_step=0.04,
    attacks={name: (0.5, 1.0 + i) for i, name in enumerate(ATTACKS)},
    answer=0.001,
    queries={"noise-agreement": 0.01},
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    place = tmp_path_factory.mktemp("budget")
    whole = digits.load(place)
    parts = {"train": whole.train.first(400), "test": whole.test.first(200)}
    arrays = {f"x_{part}": some.inputs.numpy() for part, some in parts.items()}
    arrays |= {f"y_{part}": some.labels.numpy() for part, some in parts.items()}
    np.savez(place / "digits.npz", **arrays)
    return place / "digits.npz"


def network():
    torch.manual_seed(0)
    return SpikingMLP((1, 8, 8), 10, hidden=60, beta=0.7, surrogate=FastSigmoid(40))


def planned(data, **more):
    return plan(network(), str(data), inputs=Inputs(steps=8), **more)


def test_what_fits_is_left_as_it_is(data):
    study = planned(data).study
    found = fit(study, COSTS, 1e6)
    assert found.study == study
    assert len(found.said) == 1
    assert re.match(r"Estimated time: \d+ min \(training \d+ min, attacks", found.said[0])


def test_the_less_time_the_more_is_left_out(data):
    study, before = planned(data).study, None
    for budget in (3000, 1500, 800, 400, 200, 100):
        found = fit(study, COSTS, budget)
        total = sum(found.seconds.values())
        assert total <= budget or "cannot do with less" in found.said[-1]
        assert before is None or total <= before
        assert found.said[1].startswith("Left out to fit ")
        assert found.said[1] in found.study.description
        before = total
    assert found.study.judging.reconstructions == 1
    assert found.study.judging.judge_steps == 150
    kept = [n for n, a in found.study.attacks.items() if a.kind == "class-reconstruction"]
    assert kept == ["pattern-inversion"] or kept == ["smooth-inversion"]
    assert found.study.membership is None


def test_repetition_goes_before_attacks_and_attacks_before_membership(data):
    study = planned(data).study
    total = sum(COSTS.of(study).values())
    first = fit(study, COSTS, 0.95 * total)
    assert "all but one reconstruction" in first.said[1]
    assert first.study.attacks.keys() == study.attacks.keys()
    second = fit(study, COSTS, 0.75 * total)
    assert "the attack brainleaks-v2" in second.said[1]
    assert second.study.membership is not None


def test_membership_counts_its_answers_and_queries(data):
    """Answers of the target, of the control's and of four references; queries of the two."""
    settings = ["membership.samples=300", "membership.draws=2"]
    asked = planned(data, attacks=("rmia", "noise-agreement"), settings=settings).study
    shadows = asked.membership.shadows
    samples = 300 + 500  # the test part is smaller than what is wanted of it
    expected = samples * ((shadows + 2) * 2 * 0.001 + 2 * 0.01)
    assert COSTS.of(asked)["membership"] == pytest.approx(expected)


def test_few_classes_are_reconstructed_more_often(data):
    study = planned(data, attacks=("smooth-inversion",)).study
    once = 0.5 + 4.0 * study.attacks["smooth-inversion"].iterations
    assert COSTS.of(study)["attacks"] == pytest.approx((3 + 3) * once)
    few = dataclasses.replace(COSTS, classes=2)
    assert few.of(study)["attacks"] == pytest.approx(4 * 8 * once)


def test_the_estimate_is_near_what_an_audit_takes(data, tmp_path, monkeypatch):
    """In processor time, which other work on the machine does not change."""
    monkeypatch.setattr(costs, "time", SimpleNamespace(perf_counter=time.process_time))
    torch.set_num_threads(1)
    cache = Cache(tmp_path / "store")
    fitted, said = within(planned(data, membership="none"), 15, cache=cache)
    estimate = float(re.match(r"Estimated time: (\d+) s", said[0])[1])
    start = time.process_time()
    outcome = run(fitted, cache=cache)
    took = time.process_time() - start
    assert estimate / 3 < took < 3 * estimate
    assert outcome.verdict["levels"]


def test_times():
    assert [shown(5), shown(99), shown(120), shown(7300)] == ["5 s", "99 s", "2 min", "122 min"]
    for text in ("soon", "-3m", "0", "5d"):
        assert "expected a time, such as 90s" in refused(
            "audit", "x.pt", "--data", "d", "--budget", text
        )
    assert [seconds_of(90), seconds_of("90s"), seconds_of("10m"), seconds_of("2h")] == [
        90,
        90,
        600,
        7200,
    ]
    for wrong in (0, float("nan"), float("inf"), "1 m"):
        with pytest.raises(InputError, match="budget: found"):
            seconds_of(wrong)
    both = ("--budget", "5m", "--twin")
    assert "leave out --twin" in refused("audit", "x.pt", "--data", "d", *both)


def test_on_the_command_line(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    (tmp_path / "budgeted.py").write_text("from test_budget import network\n")
    monkeypatch.syspath_prepend(tmp_path)
    done = brainleaks(
        "audit", "--factory", "budgeted:network", "--data", data, "--steps", 8, "--budget", "1s"
    )
    assert done.returncode == 0, done.stderr
    assert "Estimated time: " in done.stderr
    assert "Left out to fit 1 s: all but one reconstruction of each class; " in done.stderr
    assert "Left out to fit 1 s: " in (tmp_path / "runs/audit-digits-seed0/study.yaml").read_text()


def test_a_study_whose_model_does_not_fit_is_refused_before(data):
    wrong = plan(
        SpikingMLP((1, 8, 8), 7, hidden=9, beta=0.7, surrogate=FastSigmoid(40)),
        str(data),
        inputs=Inputs(steps=8),
    )
    with pytest.raises(InputError, match="7 outputs but the data has 10 classes"):
        within(wrong, 60)
