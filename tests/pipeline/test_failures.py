"""What fails is a result: it is recorded and shown, and the rest of the run stands."""

import json

import pytest
import torch
from click.testing import CliRunner

from brainleaks import BrainLeaksV1, InputError
from brainleaks.adapters.parity import compare
from brainleaks.cli import cli
from brainleaks.networks import Response
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.report import write_report
from brainleaks.runs import folder
from brainleaks.studies import load_study

QUICK = (
    "target.network.hidden=60",
    "target.training.epochs=2",
    "evaluators.snn-conv.training.epochs=1",
    "draws=5",
    "judging={judge_steps: 60, reconstructions: 1}",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"))


def written(cache, out):
    outcome = run_study(load_study("demo", QUICK), cache=cache)
    results = folder.write(outcome, out, write_report)
    return results, (out / "report.html").read_text()


def failing(method, which, error):
    """The method, but for what it fails at."""

    def call(self, *arguments, **how):
        if which(*arguments):
            raise error
        return method(self, *arguments, **how)

    return call


def test_an_attack_that_fails_is_a_result(cache, tmp_path, monkeypatch, capsys):
    def broken(self, *arguments, **how):
        raise ValueError("Out of range float values")

    monkeypatch.setattr(BrainLeaksV1, "__call__", broken)
    results, page = written(cache, tmp_path / "run")
    (failure,) = results["failures"]
    assert (failure["part"], failure["name"]) == ("attack", "brainleaks-v1")
    assert failure["why"].startswith("ValueError in test_failures.py, line ")
    assert list(results["likeness"]) == ["brainleaks-v2"]
    assert results["verdict"]["verdict"] in ("leak", "inconclusive")
    assert "Failed: attack brainleaks-v1." in results["verdict"]["reasons"]
    assert "What failed" in page
    assert "Out of range float values" in page
    assert "attack brainleaks-v1 failed" in capsys.readouterr().err


def test_a_control_that_fails_leaves_its_attack_undecided(cache, tmp_path, monkeypatch):
    def of_v1(name, *_):
        return name == "brainleaks-v1 without-class-1"

    error = InputError("the reconstructions hold NaN or infinity.")
    monkeypatch.setattr(Pipeline, "invert", failing(Pipeline.invert, of_v1, error))
    results, _ = written(cache, tmp_path / "run")
    (failure,) = results["failures"]
    assert failure["part"] == "control"
    assert failure["why"] == "the reconstructions hold NaN or infinity."
    found = {c["control"] for c in results["controls"] if c["attack"] == "brainleaks-v1"}
    assert "without-class" not in found
    assert results["verdict"]["attack"] != "brainleaks-v1"


@pytest.mark.parametrize("judge", ["snn-conv", "ann-conv"])
def test_a_judge_that_fails_is_missed_by_the_panel(cache, tmp_path, monkeypatch, judge):
    error = RuntimeError("out of memory")
    fail = failing(Pipeline.judge, lambda name, *_: name == judge, error)
    monkeypatch.setattr(Pipeline, "judge", fail)
    results, page = written(cache, tmp_path / "run")
    assert results["failures"][0]["part"] == "judge"
    assert judge not in {found["name"] for found in results["judges"]}
    assert results["attacks"]
    assert "out of memory" in page


def test_an_evaluator_that_fails_leaves_the_panel(cache, tmp_path, monkeypatch):
    fail = failing(Pipeline.train, lambda name, *_: name == "snn-conv", InputError("diverged."))
    monkeypatch.setattr(Pipeline, "train", fail)
    results, page = written(cache, tmp_path / "run")
    assert results["failures"][0]["part"] == "evaluator"
    assert results["attacks"] == []
    assert set(results["likeness"]) == {"brainleaks-v1", "brainleaks-v2"}
    assert "diverged." in page


def test_where_all_fails_it_is_a_sentence(tmp_path, monkeypatch):
    def broken(self, *arguments, **how):
        raise InputError("nothing suits.")

    monkeypatch.setattr(Pipeline, "attack", broken)
    changes = [word for setting in QUICK for word in ("--set", setting)]
    done = CliRunner().invoke(cli, ["run", "demo", *changes, "--out", str(tmp_path / "run")])
    assert isinstance(done.exception, InputError)
    assert not (tmp_path / "run").exists()


def test_outputs_of_unlike_shapes_have_no_difference_in_numbers():
    """As of a population output; infinity is no JSON."""
    membranes = [torch.zeros(5, 2, 30), torch.zeros(5, 2, 10)]
    found = compare(*(Response(None, membrane) for membrane in membranes))
    assert found["largest_difference"] is None
    assert not found["identical"]
    json.dumps(found, allow_nan=False)
