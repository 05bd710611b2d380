"""The pipeline from a study to a run folder: stored, resumed, reproducible."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from brainleaks import InputError
from brainleaks.files import atomic
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.evidence.reconstruction import from_release, to_release
from brainleaks.runs import folder as run_folder
from brainleaks.runs.release import export
from brainleaks.studies import load_study

QUICK = (
    "target.network.hidden=60",
    "target.training.epochs=3",
    "target.training.learning_rate=0.01",
    "evaluators.snn-conv.training.epochs=2",
    "draws=20",
    "judging=null",
)
ANN = """
name: quick-ann
judging: null
dataset: digits
target:
  network: {architecture: mlp, hidden: 40}
  training: {learning_rate: 0.01, batch_size: 100, epochs: 4}
evaluators:
  one:
    network: {architecture: conv, kernel: 3, padding: 1}
    training: {learning_rate: 0.01, batch_size: 100, epochs: 2}
  two:
    network: {architecture: mlp, hidden: 30}
    training: {learning_rate: 0.01, batch_size: 100, epochs: 2}
attacks:
  descent: {attack: fredrikson, iterations: 200, clamp: true}
"""


def run(out: Path, cache: Path, settings=QUICK, seed=0, study="demo"):
    outcome = run_study(load_study(study, settings), seed=seed, cache=Cache(cache))
    return run_folder.write(outcome, out)


def tensors(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*.safetensors"))}


def test_run_folder(tmp_path):
    results = run(tmp_path / "run", tmp_path / "store")
    assert {
        "run_dir",
        "preset",
        "seed",
        "dataset",
        "target",
        "evaluators",
        "attacks",
    } <= results.keys()
    assert results == json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["dataset"]["classes"] == 10
    assert results["target"]["family"] == "snn"
    assert 0.5 < results["target"]["test_accuracy"] <= 1
    assert [a["name"] for a in results["attacks"]] == ["brainleaks-v1", "brainleaks-v2"]
    v1, v2 = results["attacks"]
    assert "draws" not in v1
    assert v2["draws"]["n"] == 20
    for entry in (v1, v2):
        assert all(
            0 <= entry[k] <= 1 for k in ("attack_accuracy", "top3_accuracy", "confidence", "daa")
        )
        assert entry["seconds"] > 0
    assert v1["queries"] == 10 * 10
    assert v2["queries"] == 10 * 10 * 7
    stored = atomic.read_tensors(tmp_path / "run" / "reconstructions" / "brainleaks-v1.safetensors")
    assert stored["reconstruction"].shape == (10, 25, 1, 64)
    provenance = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert provenance["data"] == results["dataset"]["fingerprint"]
    assert provenance["weights"].keys() == {"target", "snn-conv"}


def test_resolved_study_runs_again_to_the_same_bytes(tmp_path):
    run(tmp_path / "a", tmp_path / "store")
    run(tmp_path / "b", tmp_path / "other", settings=(), study=str(tmp_path / "a" / "study.yaml"))
    assert tensors(tmp_path / "a") == tensors(tmp_path / "b")
    run(tmp_path / "c", tmp_path / "third", seed=1)
    assert tensors(tmp_path / "a") != tensors(tmp_path / "c")


def test_nothing_is_made_twice(tmp_path, monkeypatch):
    first = run(tmp_path / "a", tmp_path / "store")
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", pytest.fail)
    monkeypatch.setattr("brainleaks.pipeline.stages.judgement.judge", pytest.fail)
    second = run(tmp_path / "b", tmp_path / "store")
    assert second | {"run_dir": first["run_dir"]} == first


def test_only_what_changed_is_made_anew(tmp_path, monkeypatch):
    run(tmp_path / "a", tmp_path / "store")
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", pytest.fail)
    changed = run(
        tmp_path / "b", tmp_path / "store", (*QUICK, "attacks.brainleaks-v1.iterations=3")
    )
    assert changed["attacks"][0]["queries"] == 30


def test_ordinary_network_and_two_evaluators(tmp_path):
    study = tmp_path / "s.yaml"
    study.write_text(ANN)
    results = run(tmp_path / "run", tmp_path / "store", (), study=str(study))
    assert results["target"]["family"] == "ann"
    assert [e["evaluator"] for e in results["attacks"]] == ["one", "two"]
    stored = atomic.read_tensors(tmp_path / "run" / "reconstructions" / "descent.safetensors")
    assert stored["reconstruction"].shape == (10, 1, 64)


SCRIPT = """
import sys
from pathlib import Path
from brainleaks.pipeline import Cache, run_study
from brainleaks.runs import folder
from brainleaks.studies import load_study
study = load_study("demo", tuple(sys.argv[3:]))
folder.write(run_study(study, cache=Cache(Path(sys.argv[2]))), Path(sys.argv[1]))
"""


SLOW = (
    "target.network.hidden=100",
    "target.training.epochs=4",
    "target.training.learning_rate=0.01",
    "attacks.brainleaks-v2.iterations=20",
    "evaluators.snn-conv.training.epochs=2",
    "draws=300",
    "judging=null",
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("undisturbed")
    run(base / "run", base / "store", SLOW)
    return base / "run"


@pytest.mark.parametrize("stage", ["train-", "attack-", "judge-"])
def test_killed_and_run_again_gives_the_same_bytes(tmp_path, stage, undisturbed):
    """SIGKILL as soon as the stage's first checkpoint is on disk, then run again."""
    cache, out = tmp_path / "store", tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(out), str(cache), *SLOW])
    deadline = time.monotonic() + 200
    while not list(cache.glob(f"{stage}*.checkpoint")):
        assert process.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    results = run(out, cache, SLOW)
    assert tensors(out) == tensors(undisturbed)
    assert not list(cache.glob("*.checkpoint"))
    expected = json.loads((undisturbed / "results.json").read_text())
    for a, b in zip(results["attacks"], expected["attacks"], strict=True):
        assert a["curve"] == b["curve"]
        assert a["queries"] == b["queries"]
        assert a.get("draws") == b.get("draws")


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        run(tmp_path / "run", tmp_path / "store")
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_what_cannot_be_written_leaves_the_old_run_alone(tmp_path, monkeypatch):
    out, cache = tmp_path / "run", tmp_path / "store"
    run(out, cache)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}

    def full(path, content):
        raise InputError("disk full")

    monkeypatch.setattr(atomic, "write_json", full)
    with pytest.raises(InputError, match="disk full"):
        run(out, cache)
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "store"]


def test_a_run_replaces_the_one_before_whole(tmp_path):
    run(tmp_path / "run", tmp_path / "store")
    study = tmp_path / "s.yaml"
    study.write_text(ANN)
    run(tmp_path / "run", tmp_path / "store", (), study=str(study))
    names = {p.name for p in (tmp_path / "run" / "reconstructions").iterdir()}
    assert names == {"descent.safetensors"}


def test_an_export_stays_with_its_run_and_is_not_lost_to_another(tmp_path):
    out, cache = tmp_path / "run", tmp_path / "store"
    run(out, cache)
    released = {path: path.read_bytes() for path in export(out)}
    run_folder.prepare(out, load_study("demo", QUICK))
    run(out, cache)
    assert released == {path: path.read_bytes() for path in (out / "release").iterdir()}

    other = (*QUICK, "attacks.brainleaks-v1.iterations=3")
    for study, seed in (load_study("demo", other), 0), (load_study("demo", QUICK), 1):
        with pytest.raises(InputError, match="the export of another run, which would be lost"):
            run_folder.prepare(out, study, seed)
    before = tensors(out)
    with pytest.raises(InputError, match="the export of another run, which would be lost"):
        run(out, cache, other)
    assert released == {path: path.read_bytes() for path in (out / "release").iterdir()}
    assert tensors(out) == before


def test_a_network_that_does_not_fit_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", pytest.fail)
    field = "evaluators.snn-conv.network"
    with pytest.raises(InputError, match=f"{field}: .* too small for two 5x5"):
        run(tmp_path / "a", tmp_path / "s", (f"{field}.kernel=5", f"{field}.padding=0"))


def test_diverged_training_is_named(tmp_path):
    with pytest.raises(InputError, match="training diverged"):
        run(tmp_path / "a", tmp_path / "s", (*QUICK, "target.training.learning_rate=1e38"))


def test_refuses_a_folder_of_something_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="not a brainleaks run"):
        run_folder.prepare(tmp_path)


def test_refuses_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        run_folder.prepare(tmp_path / "file" / "run")


def test_release_layout_there_and_back():
    spikes, images = torch.rand(25, 10, 1, 4, 5), torch.rand(10, 1, 4, 5)
    assert to_release(spikes).shape == (10, 25, 1, 20)
    assert torch.equal(from_release(to_release(spikes), (1, 4, 5)), spikes)
    assert torch.equal(from_release(to_release(images), (1, 4, 5)), images)


def test_a_damaged_artefact_is_made_again_to_the_same_bytes(tmp_path, capsys):
    run(tmp_path / "a", tmp_path / "store")
    weights = next((tmp_path / "store").glob("train-*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4] + bytes([255 ^ byte for byte in whole[-4:]]))
    run(tmp_path / "b", tmp_path / "store")
    assert weights.name in capsys.readouterr().err
    assert weights.read_bytes() == whole
    assert tensors(tmp_path / "a") == tensors(tmp_path / "b")


def test_study_file_of_the_run_is_complete(tmp_path):
    run(tmp_path / "a", tmp_path / "store")
    content = yaml.safe_load((tmp_path / "a" / "study.yaml").read_text())
    assert content["attacks"]["brainleaks-v2"]["momentum"] == 0.9


PRIOR = (
    *QUICK,
    "prior={classes: [9, 0, 1], latent: 4, hidden: 30, training: "
    "{learning_rate: 0.002, batch_size: 50, epochs: 3}}",
    "attacks={plain: {attack: score-evolution, probes: 100, iterations: 2}, within: "
    "{attack: within-prior, search: {attack: score-evolution, probes: 100, iterations: 2}}}",
)


def test_a_prior_learns_what_nothing_else_sees(tmp_path, monkeypatch):
    results = run(tmp_path / "run", tmp_path / "store", PRIOR)
    whole = run(tmp_path / "whole", tmp_path / "store")["dataset"]
    seen = results["dataset"]
    assert seen["class_names"] == whole["class_names"][2:9]
    assert whole["set_apart"] == 0
    assert seen["train"] + seen["test"] + seen["set_apart"] == whole["train"] + whole["test"]
    plain, within = results["attacks"]
    assert plain["queries"] == within["queries"] == 100 + 2 * 2 * 2 * 7

    def made_anew(*positional, **named):
        pytest.fail("made anew")

    # the prior is stored, and another one is another attack
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", made_anew)
    monkeypatch.setattr("brainleaks.pipeline.stages.prior.fit_prior", made_anew)
    run(tmp_path / "again", tmp_path / "store", PRIOR)
    with pytest.raises(pytest.fail.Exception, match="made anew"):
        run(tmp_path / "other", tmp_path / "store", (*PRIOR, "prior.latent=5"))


def test_a_prior_leaves_something_to_test(tmp_path):
    settings = (*PRIOR, "subset={train: 600, test: 1}", "prior.classes=[0,1,2,3,4,5,6,7]")
    with pytest.raises(InputError, match="every test sample of digits belongs to one of these"):
        run(tmp_path / "run", tmp_path / "store", settings)


@pytest.mark.parametrize(
    ("classes", "found"), [("[0, 10]", "2 classes, up to number 10"), ("[0,1,2,3,4,5,6,7,8]", "9")]
)
def test_a_prior_leaves_the_target_classes(tmp_path, classes, found):
    settings = (*PRIOR, f"prior.classes={classes}")
    with pytest.raises(InputError, match=rf"prior\.classes: found {found}.*digits has 10"):
        run(tmp_path / "run", tmp_path / "store", settings)
