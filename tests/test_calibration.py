"""The calibration counts what it should, and its targets are what they are said to be."""

import json
from functools import partial

import pytest
import torch

from brainleaks import InputError
from brainleaks.campaigns import calibration
from brainleaks.campaigns.calibration import calibrate
from brainleaks.report.calibration import write_calibration

SETTINGS = [
    "subset={train: 300, test: 100}",
    "target.network.hidden=40",
    "target.training={learning_rate: 0.005, batch_size: 100, epochs: 2}",
    "attacks.brainleaks-v1.iterations=3",
    "attacks.brainleaks-v2.iterations=2",
    "judging={judge_steps: 30, reconstructions: 1}",
]


MEMBERSHIP = [
    "subset={train: 120, test: 60}",
    "target.network.hidden=40",
    "target.training={learning_rate: 0.005, batch_size: 20, epochs: 2}",
    "attacks={loss-threshold: {attack: loss-threshold}, rmia: {attack: rmia}}",
    "membership={samples: 40, shadows: 4, draws: 1}",
]
SAMPLES = ["subset={train: 800, test: 100}", *SETTINGS[1:3], "attacks={v2: {attack: brainleaks-v2, "
           "iterations: 2}}", SETTINGS[-1]]  # fmt: skip


@pytest.fixture
def cells(monkeypatch):
    found = [
        calibration._Cell("class-content", "demo", 1, SETTINGS),
        calibration._Cell("membership", "demo", 1, MEMBERSHIP),
        calibration._Cell("single-samples", "demo", 1, SAMPLES),
        calibration._Cell("class-content", "faces-snn", 1, []),
    ]
    monkeypatch.setattr("brainleaks.campaigns.calibration._plan", lambda: found)
    monkeypatch.setattr("brainleaks.campaigns.calibration._EMPTY", 1)
    monkeypatch.setattr("brainleaks.campaigns.calibration._UNSEEN", 2)


def test_audits_whose_answer_is_known(cells, tmp_path):
    said = []
    table = calibrate(
        [], data_dir=tmp_path, out=tmp_path, command="brainleaks calibrate", say=said.append
    )
    content = json.loads((tmp_path / "calibration.json").read_text())
    audits = content["audits"]
    assert [audit["target"] for audit in audits] == [
        "untrained", "shuffled-labels", "trained", "overfitted", "other-data", "other-data",
        "repeated-samples", "other-data",
    ]  # fmt: skip
    tested = [{n for n, answer in a["levels"].items() if answer != "not tested"} for a in audits]
    assert tested == [{"1", "2", "4"}] * 3 + [{"3"}] * 3 + [{"1", "2", "4"}] * 2
    assert audits[0]["settings"] == SETTINGS
    assert content["left_out"] == {
        "faces-snn": "att-faces is not in the data folder",
        "class-content of faces-snn": "1 of 1 seeds are not run yet",
    }
    assert said[1] == "finished: class-content of demo (small), seed 0"
    assert "| demo, small | digits | shuffled-labels | 1 | 1 |" in table.read_text()


def test_halves_are_disjoint_and_one_sample_is_repeated(tmp_path):
    study = calibration.load_study("demo", tuple(MEMBERSHIP))
    cache = calibration.Cache()
    dataset = calibration.load_dataset(study, tmp_path, cache)
    new = partial(calibration._pipeline, study, 0, "cpu", cache)
    audits = list(calibration._of_membership(new, dataset))
    seen, unseen = audits[0].pipeline.dataset.train, audits[1].pipeline.dataset.train
    assert len(seen.labels) == len(unseen.labels) == 60
    assert audits[1].target is audits[0].target
    rows = torch.cat([seen.inputs, unseen.inputs]).flatten(1)
    assert len(rows.unique(dim=0)) == len(dataset.train.inputs.flatten(1).unique(dim=0))
    study = calibration.load_study("demo", tuple(SAMPLES))
    dataset = calibration.load_dataset(study, tmp_path, cache)
    new = partial(calibration._pipeline, study, 0, "cpu", cache)
    shown = next(iter(calibration._of_single_samples(new, dataset))).pipeline.dataset.train
    _, counts = shown.inputs.flatten(1).unique(dim=0, return_counts=True)
    assert counts.tolist() == [50] * 10


def test_audited_targets_are_not_those_of_the_controls(tmp_path):
    study = calibration.load_study("demo", tuple(SETTINGS))
    cache = calibration.Cache()
    new = partial(calibration._pipeline, study, 0, "cpu", cache)
    dataset = calibration.load_dataset(study, tmp_path, cache)
    audits = list(calibration._of_class_content(new, dataset))
    control = new(dataset).untrained("control-untrained", study.target)
    weights = [a.target.network.fc1.weight for a in audits] + [control.network.fc1.weight]
    assert not any(torch.equal(a, b) for i, a in enumerate(weights) for b in weights[:i])


def audit(target, level, answer, seed=0):
    levels = dict.fromkeys(("1", "2", "3", "4"), "not tested") | {level: answer}
    return {
        "preset": "demo", "dataset": "digits", "small": True, "seed": seed, "target": target,
        "levels": levels,
    }  # fmt: skip


def test_counts_and_their_interval(tmp_path):
    """One group in 20: Clopper and Pearson's interval is 0.0013 to 0.2487."""
    audits = [audit("untrained", "2", "no", seed) for seed in range(20)] * 10
    audits += [audit("shuffled-labels", "2", "yes", 3), audit("trained", "2", "yes")]
    audits += [audit("overfitted", "3", answer, 5) for answer in ("yes", "inconclusive")]
    write_calibration(
        audits, {}, tmp_path, command="c", machine={"processor": "p", "threads": 1, "device": "cpu"}
    )
    first, second = json.loads((tmp_path / "calibration.json").read_text())["known"]
    assert (first["level"], first["true"], first["audits"], first["yes"]) == (2, False, 201, 1)
    assert first["groups"] == 20
    assert first["groups_shown"]["low"] == pytest.approx(0.001265, abs=1e-6)
    assert first["groups_shown"]["high"] == pytest.approx(0.248733, abs=1e-5)
    assert (second["level"], second["true"], second["inconclusive"]) == (3, True, 1)
    assert second["groups_shown"]["value"] == 0  # not all of the group's audits showed it
    text = (tmp_path / "calibration.md").read_text()
    assert "| 2, recognisable class content | no | 201 | 1 | 200 | 0 | 20 | 5.0 % (0.1 %" in text
    assert "| demo, small | digits | untrained | 200 | 20 |  | 0 / 200 / 0 |  |  |" in text


def test_runs_must_have_a_verdict(tmp_path):
    with pytest.raises(InputError, match="not a finished run"):
        calibrate([tmp_path], out=tmp_path / "docs", command="c", say=print)
