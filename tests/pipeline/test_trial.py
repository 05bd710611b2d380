"""The trial of a run: what is a leak is called one, and what is not is not."""

import json

import pytest

from brainleaks.files import atomic
from brainleaks.pipeline import Cache, run_study
from brainleaks.runs import folder as run_folder
from brainleaks.studies import load_study

#: The demo with less of everything, but enough of it to be judged.
SMALL = (
    "subset={train: 800, test: 300}",
    "target.network.hidden=200",
    "target.training={learning_rate: 0.002, batch_size: 100, epochs: 8, gradient_clip: 1.0}",
    "evaluators.snn-conv.training.epochs=1",
    "draws=2",
    "judging={judge_steps: 300, reconstructions: 2}",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("trial")


@pytest.fixture(scope="module")
def outcome(base):
    return run_study(load_study("demo", SMALL), cache=Cache(base / "store"))


@pytest.fixture(scope="module")
def results(base, outcome):
    return run_folder.write(outcome, base / "run")


def test_a_trained_network_leaks(results):
    assert results["verdict"]["verdict"] == "leak"
    assert [judge["counts"] for judge in results["judges"]] == [True] * 4
    for attack in ("brainleaks-v1", "brainleaks-v2"):
        found = results["likeness"][attack]
        assert found["reconstructions"] == 20
        assert found["metrics"]["panel"]["value"] > 0.7
        assert found["metrics"]["identification"]["value"] > 0.9
        assert found["agreement"]["kappa"] > 0.5
        assert 0 <= found["target"]["attack_accuracy"] <= 1


def test_controls_are_what_they_should_be(results):
    by_name = {(entry["attack"], entry["control"]): entry for entry in results["controls"]}
    for attack in ("brainleaks-v1", "brainleaks-v2"):
        for control in ("noise", "untrained", "shuffled-labels", "without-class"):
            entry = by_name[attack, control]
            assert entry["negative"]
            assert entry["metrics"]["panel"]["value"] < 0.5
        mean = by_name[attack, "class-mean"]
        assert not mean["negative"]
        assert mean["metrics"]["identification"]["value"] == 1


def test_tests_are_corrected_for_how_many_there_are(results):
    tests = results["statistics"]["tests"]
    # 2 attacks, 4 negative controls, 3 metrics; and 5 metrics of one attack against the other
    assert len(tests) == 2 * 4 * 3 + 5
    least = results["statistics"]["smallest_p"]
    assert least == 2 / 2**10
    assert all(test["p_holm"] >= test["p"] >= least for test in tests)
    # an attack must exceed every control, so only two attacks multiply what chance can do
    assert all(test["p_holm"] <= 2 * test["p"] for test in tests)
    assert any(test["p_holm"] < 0.05 for test in tests)


def test_results_are_json_and_evidence_lies_beside_them(base, results, outcome):
    assert results == json.loads((base / "run" / "results.json").read_text())
    evidence = atomic.read_tensors(base / "run" / "evidence.safetensors")
    assert evidence.keys() == {
        f"{attack}.{kind}"
        for attack in ("brainleaks-v1", "brainleaks-v2")
        for kind in ("nearest", "control")
    }
    assert all(images.shape == (10, 1, 8, 8) for images in evidence.values())


def test_the_same_again_is_the_same_and_made_of_the_store(base, results, monkeypatch):
    monkeypatch.setattr("brainleaks.pipeline.stages.panel.train", pytest.fail)
    monkeypatch.setattr("brainleaks.pipeline.stages.panel.scores", pytest.fail)
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", pytest.fail)
    again = run_study(load_study("demo", SMALL), cache=Cache(base / "store"))
    assert run_folder.summary(again, base / "run") == results


def test_a_judge_too_weak_to_count(base):
    settings = (*SMALL, "judging.judge_steps=1")
    found = run_study(load_study("demo", settings), cache=Cache(base / "store")).facts
    signature, content = found["verdict"]["levels"][:2]
    assert signature["status"] == "inconclusive"
    assert "of the judges classify real data" in signature["opposes"][0]
    assert content["status"] == "yes"  # which no judge decides


def test_left_out(base):
    settings = (*SMALL[:-1], "judging=null")
    found = run_study(load_study("demo", settings), cache=Cache(base / "store"))
    assert found.facts["verdict"]["verdict"] == "inconclusive"
    assert "judging: null" in found.facts["verdict"]["reasons"][0]
    assert found.evidence["class-reconstruction"].tensors["evidence"] == {}
