"""The calibration counts what it should, and its targets hold nothing."""

import json

import pytest
import torch

from brainleaks import InputError
from brainleaks.campaigns import calibration
from brainleaks.campaigns.calibration import calibrate
from brainleaks.report.calibration import false_leaks, write_calibration

SETTINGS = [
    "subset={train: 300, test: 100}",
    "target.network.hidden=40",
    "target.training={learning_rate: 0.005, batch_size: 100, epochs: 2}",
    "attacks.brainleaks-v1.iterations=3",
    "attacks.brainleaks-v2.iterations=2",
    "judging={judge_steps: 30, reconstructions: 1}",
]


@pytest.fixture
def one_cell(monkeypatch):
    cells = [calibration._Cell("demo", 1, SETTINGS), calibration._Cell("faces-snn", 1, [])]
    monkeypatch.setattr("brainleaks.campaigns.calibration._plan", lambda: (1, cells))


def test_audits_of_one_study(one_cell, tmp_path):
    said = []
    table = calibrate(
        [], data_dir=tmp_path, out=tmp_path, command="brainleaks calibrate", say=said.append
    )
    content = json.loads((tmp_path / "calibration.json").read_text())
    assert [a["target"] for a in content["audits"]] == ["untrained", "shuffled-labels", "trained"]
    assert all(audit["settings"] == SETTINGS and audit["reasons"] for audit in content["audits"])
    assert content["false_leaks"]["audits"] == 2
    assert content["left_out"] == {"faces-snn": "att-faces is not in the data folder"}
    assert said[1] == "finished: demo (small), seed 0"
    assert "| demo, small | digits | shuffled-labels | 1 | 1 |" in table.read_text()


def test_audited_targets_are_not_those_of_the_controls(one_cell, tmp_path):
    study = calibration.load_study("demo", tuple(SETTINGS))
    cache = calibration.Cache()
    pipeline = calibration.Pipeline(
        study, 0, calibration.load_dataset(study, tmp_path, cache), "cpu", cache
    )
    targets = dict(calibration._targets(pipeline, 1))
    control = pipeline.untrained("control-untrained", study.target)
    weights = [t.network.fc1.weight for t in (*targets.values(), control)]
    assert not any(torch.equal(a, b) for i, a in enumerate(weights) for b in weights[:i])


def audit(target, verdict, seed=0, preset="demo"):
    return {
        "preset": preset, "dataset": "digits", "small": True, "seed": seed, "target": target,
        "verdict": verdict,
    }  # fmt: skip


def test_counts_and_their_interval(tmp_path):
    """One group in 20: Clopper and Pearson's interval is 0.0013 to 0.2487."""
    audits = [audit("untrained", "no leak shown", seed) for seed in range(20)] * 10
    found = false_leaks([*audits, audit("shuffled-labels", "leak", 3), audit("trained", "leak")])
    assert found["audits"] == 201
    assert found["groups"] == 20
    assert found["share"] == pytest.approx(1 / 201)
    assert found["low"] == pytest.approx(0.001265, abs=1e-6)
    assert found["high"] == pytest.approx(0.248733, abs=1e-5)
    write_calibration(
        audits, {}, tmp_path, command="c", machine={"processor": "p", "threads": 1, "device": "cpu"}
    )
    text = (tmp_path / "calibration.md").read_text()
    assert "Of 200 targets that hold nothing, 0 were said to leak" in text
    assert "| demo, small | digits | untrained | 200 | 20 | 0 | 200 | 0 |" in text


def test_runs_must_have_a_verdict(tmp_path):
    with pytest.raises(InputError, match="not a finished run"):
        calibrate([tmp_path], out=tmp_path / "docs", command="c", say=print)
