"""Membership as evidence: from a study to the verdict and the report."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from brainleaks.data import Samples, digits
from brainleaks.data.parts import joined
from brainleaks.errors import InputError
from brainleaks.evaluation.membership import claim
from brainleaks.files.atomic import read_tensors, write_tensors
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.controls import OwnTargets
from brainleaks.pipeline.evidence import Case
from brainleaks.pipeline.evidence.membership import draw, gather
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.pipeline.shadows import train_references
from brainleaks.report import write_comparison, write_report
from brainleaks.runs import folder, read_results
from brainleaks.runs.release import export
from brainleaks.studies.config import Subset
from brainleaks.studies.reading import parse_study

NEURON = {"beta": 0.7, "surrogate": {"surrogate": "fast-sigmoid", "slope": 40}}


def study(attacks, *, train=120, epochs=60, hidden=200, rate=2e-3, **more):
    return parse_study(
        "test",
        {
            "name": "members",
            "dataset": "digits",
            "subset": {"train": train, "test": 300},
            "encoding": {"encoding": "rate", "steps": 10},
            "access": "initial-weights",
            "target": {
                "network": {"architecture": "spiking-mlp", "hidden": hidden, **NEURON},
                "training": {"learning_rate": rate, "batch_size": 20, "epochs": epochs},
            },
            "attacks": {name: {"attack": name} for name in attacks},
            "membership": {"samples": 300, "draws": 2, "shadows": 4},
            **more,
        },
    )


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory):
    torch.set_num_threads(1)
    where = tmp_path_factory.mktemp("membership")
    attacks = ["loss-threshold", "lira", "rmia", "weight-span"]
    strong = {"samples": 300, "draws": 8, "shadows": 8}
    outcome = run_study(study(attacks, membership=strong), cache=Cache(where / "cache"))
    results = folder.write(outcome, where / "run", write_report)
    return where, results


def test_an_overfitted_network_shows_its_members(overfitted):
    _, results = overfitted
    (found,) = results["verdict"]["claims"]
    assert (found["level"], found["shown"]) == (3, True)
    measured = results["evidence"]["membership"]["attacks"]
    assert measured["lira"]["auc"]["low"] > 0.55
    assert "Training samples can be recognised" in results["verdict"]["sentence"]


def test_the_controls_show_nothing(overfitted):
    _, results = overfitted
    for attack in results["evidence"]["membership"]["attacks"].values():
        controls = attack["controls"]
        for control in ("held-out", "shuffled-membership"):
            assert controls[control]["low"] < 0.5 < controls[control]["high"]
        leak = controls["other-target"]["leak"]  # its area may differ from 0.5 as the parts do
        assert leak["tpr"]["low"] <= leak["false"]["high"]


def test_the_run_folder_has_the_scores_and_the_report_the_table(overfitted):
    where, results = overfitted
    tensors = read_tensors(where / "run" / "membership.safetensors")
    found = results["evidence"]["membership"]
    assert (found["members"], found["non_members"], found["population"]) == (120, 225, 75)
    assert int(tensors["member"].sum()) == 120
    assert len(tensors["rmia"]) == len(tensors["sample"].unique()) == 345
    page = (where / "run" / "report.html").read_text()
    assert '<a href="#membership">Membership</a>' in page
    assert "Who was in the training set" in page
    assert "ROC curves on logarithmic axes" in page
    assert read_results(where / "run")["evidence"] == results["evidence"]


def test_the_most_exposed_samples_are_shown(overfitted):
    where, results = overfitted
    exposed = results["evidence"]["membership"]["exposed"]
    tensors = read_tensors(where / "run" / "membership.safetensors")
    (claimed,) = results["verdict"]["claims"]
    scores = tensors[claimed["attack"]].masked_fill(~tensors["member"], -torch.inf)
    best = scores.topk(12).indices
    assert [one["sample"] for one in exposed] == tensors["sample"][best].tolist()
    shown = read_tensors(where / "run" / "exposed.safetensors")["images"]
    assert torch.equal(shown, digits.load(where).train.inputs[tensors["sample"][best]])
    assert (where / "run" / "report.html").read_text().count("Training sample ") == 12


def test_samples_that_no_run_writes_are_refused(overfitted, tmp_path):
    where, _ = overfitted
    altered = shutil.copytree(where / "run", tmp_path / "run")
    (altered / "digests.json").unlink()
    write_tensors(altered / "exposed.safetensors", {"images": torch.zeros(3, 1, 8, 8)})
    with pytest.raises(InputError, match=r"does not hold images of shape \(12, 1, 8, 8\)"):
        write_report(altered)


def test_the_recipe_has_a_bound_on_epsilon_and_the_losses_an_estimate(overfitted):
    where, results = overfitted
    found = results["evidence"]["membership"]
    bound = found["epsilon"]
    assert bound["samples"] == 420  # all of the pool, the population included
    assert 0 < bound["low"] < 10
    assert bound["right"] > 0.6 * bound["guesses"]
    assert 0 <= found["tail"]["low"] <= found["tail"]["value"] <= found["tail"]["high"] < 1
    page = (where / "run" / "report.html").read_text()
    assert "not differentially private with an epsilon below" in page
    assert "From the losses alone" in page


def test_an_unfair_coin_bounds_no_epsilon(tmp_path):
    torch.set_num_threads(1)
    most = study(["rmia"], train=400, epochs=1, hidden=10).model_copy(
        update={"subset": Subset(train=400, test=100)}
    )
    outcome = run_study(most, cache=Cache(tmp_path / "cache"))
    assert outcome.facts["evidence"]["membership"]["epsilon"] is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda e: e.pop("shift"), "shift"),
        (lambda e: e["attacks"]["rmia"].update(roc=[[0.1]]), "roc"),
        (lambda e: e["attacks"]["rmia"].update(roc=[]), "roc"),
        (lambda e: e["attacks"]["rmia"]["auc"].update(low="x"), "low"),
        (lambda e: e["attacks"]["rmia"].update(tpr_at_fpr={}), "same rates"),
    ],
)
def test_what_no_run_writes_is_refused(overfitted, tmp_path, change, named):
    where, _ = overfitted
    results = json.loads((where / "run" / "results.json").read_text())
    change(results["evidence"]["membership"])
    (tmp_path / "results.json").write_text(json.dumps(results))
    with pytest.raises(InputError, match=r"does not have the format") as refused:
        read_results(tmp_path)
    assert named in str(refused.value)


def test_data_that_it_never_saw_shows_nothing(tmp_path):
    """Trained on the first 60 samples, and asked about others: the loss tells nothing."""
    torch.set_num_threads(1)
    whole = digits.load(tmp_path)
    seen = study(["loss-threshold", "weight-span"])
    pipeline = Pipeline(seen, 0, _part(whole, 0), "cpu", Cache(tmp_path / "cache"))
    target = pipeline.train("target", seen.model)
    other = Pipeline(seen, 0, _part(whole, 600), "cpu", Cache(tmp_path / "cache"))
    evidence = gather(Case(other, target, OwnTargets(other), [], dict(seen.attacks)))
    (said,) = evidence.claims
    assert said["shown"] is False
    assert "Nothing shows that the model was trained on these samples" in said["sentence"]


def _part(whole, first):
    samples = joined(whole.train, whole.test)
    inputs, labels = (part[first : first + 420] for part in samples[:2])
    train, test = Samples(inputs[:120], labels[:120]), Samples(inputs[120:], labels[120:])
    return replace(whole, train=train, test=test)


def test_each_sample_is_in_as_many_training_sets(tmp_path):
    torch.set_num_threads(1)
    seen = study(["rmia"], epochs=1, hidden=10, train=300)
    data = _part(digits.load(tmp_path), 0)
    pipeline = Pipeline(seen, 0, data, "cpu", Cache(tmp_path / "cache"))
    targets = OwnTargets(pipeline)
    (few, other), (many, _) = (train_references(pipeline, targets, n) for n in (4, 8))
    learned = torch.stack([shadow.learned for shadow in many])
    assert learned[:4].sum(0).eq(2).all()
    assert learned[4:].sum(0).eq(2).all()
    assert all(torch.equal(a.learned, b.learned) for a, b in zip(few, many, strict=False))
    assert few[0].trained.key == many[0].trained.key
    assert other.learned.sum() == 120


def test_an_attack_that_fails_does_not_take_the_others_along(tmp_path):
    torch.set_num_threads(1)
    network = {"architecture": "spiking-conv", "kernel": 3, "padding": 1, **NEURON}
    recipe = {"learning_rate": 1e-3, "batch_size": 50, "epochs": 1}
    small = study(["weight-span", "loss-threshold"]).model_dump(mode="json")
    small["target"] = {"network": network, "training": recipe}
    outcome = run_study(parse_study("test", small), cache=Cache(tmp_path / "cache"))
    assert list(outcome.facts["evidence"]["membership"]["attacks"]) == ["loss-threshold"]
    (failure,) = outcome.failures
    assert "needs a first layer that is fully connected" in failure["why"]


def test_only_class_reconstructions_need_an_evaluator():
    assert not study(["rmia"]).evaluators
    with pytest.raises(InputError, match="evaluators: missing"):
        study(["brainleaks-v1"])


def test_no_sample_is_both_tested_and_known_not_to_be_a_member():
    whole = digits.load(Path())
    for most, tested, others in ((50, 50, 50), (300, 270, 89), (1000, 270, 89)):
        drawn = draw(whole, most, seed=3)
        train = len(whole.train.labels)
        assert len(drawn.places.unique()) == len(drawn.places)
        assert int(drawn.population.sum()) == others
        assert (drawn.places[drawn.population] >= train).all()
        assert int((~drawn.member).sum()) == tested
        assert torch.equal(drawn.places[~drawn.population] < train, drawn.member)


def entry(low, control=0.02, false=0.03):
    """What is measured of an attack, with the control on another target unless it is ``None``."""

    def leak(tpr):
        rate = {"value": tpr + 0.05, "low": tpr, "high": tpr}
        return {"fpr": 0.01, "tpr": rate, "false": {"value": 0.01, "low": 0.0, "high": false}}

    controls = {} if control is None else {"other-target": {"leak": leak(control)}}
    return {"leak": leak(low), "controls": controls}


@pytest.mark.parametrize(
    ("found", "shown", "attack"),
    [
        ({"a": entry(0.1), "b": entry(0.2)}, True, "b"),
        ({"a": entry(0.1), "b": entry(0.02)}, True, "a"),
        ({"a": entry(0.02), "b": entry(0.01)}, False, "a"),  # below the false-positive rate
        ({"a": entry(0.1, control=0.2)}, False, "a"),  # below its control
        ({"a": entry(0.1), "b": entry(0.5, control=0.6)}, True, "a"),
        ({"a": entry(0.1), "b": entry(0.5, control=None)}, True, "a"),
        ({"a": entry(0.01), "b": entry(0.5, control=None)}, None, None),
        ({"a": entry(0.5, control=None)}, None, None),
        ({}, None, None),
    ],
)
def test_the_claim(found, shown, attack):
    said = claim(found, None)
    assert (said["shown"], said["attack"]) == (shown, attack)
    assert claim(found, "It cannot be retrained.")["shown"] == shown


def test_too_few_samples_are_a_failure_and_no_answer(tmp_path):
    torch.set_num_threads(1)
    few = study(["loss-threshold"], epochs=1, hidden=10).model_copy(
        update={"subset": Subset(train=120, test=9)}
    )
    with pytest.raises(InputError, match="there are 7 samples to test in one part"):
        run_study(few, cache=Cache(tmp_path / "cache"))


def test_a_control_that_fails_leaves_the_attack_undecided(tmp_path, monkeypatch):
    torch.set_num_threads(1)

    def fail(*_):
        raise ValueError("no memory")

    monkeypatch.setattr("brainleaks.pipeline.evidence.membership.train_references", fail)
    small = study(["loss-threshold"], epochs=1, hidden=10)
    outcome = run_study(small, cache=Cache(tmp_path / "cache"))
    (said,) = outcome.evidence["membership"].claims
    assert said["shown"] is None
    assert (
        "other-target" not in outcome.facts["evidence"]["membership"]["attacks"]["loss-threshold"]
    )
    assert [failure["part"] for failure in outcome.failures] == ["control"]
    results = folder.write(outcome, tmp_path / "run", write_report)
    assert "not measured" in (tmp_path / "run" / "report.html").read_text()
    assert results["verdict"]["verdict"] == "inconclusive"


def test_reference_networks_that_fail_leave_the_other_attacks(tmp_path, monkeypatch):
    """And whatever else is computed of them."""
    torch.set_num_threads(1)

    def fail(*_):
        raise ValueError("no memory")

    monkeypatch.setattr("brainleaks.pipeline.evidence.membership.train_references", fail)
    small = study(["loss-threshold", "rmia"], epochs=1, hidden=10)
    outcome = run_study(small, cache=Cache(tmp_path / "cache"))
    found = outcome.facts["evidence"]["membership"]
    assert list(found["attacks"]) == ["loss-threshold"]
    assert found["epsilon"] is None
    assert {f["name"] for f in outcome.failures} >= {"rmia", "epsilon"}


def test_other_commands_say_that_nothing_was_reconstructed(overfitted):
    where, _ = overfitted
    with pytest.raises(InputError, match="no class reconstructions to compare"):
        write_comparison([where / "run", where / "run"], where / "compare.html")
    assert [path.name for path in export(where / "run", where / "out")] == [
        "digits_subset_SNN_Weights_Target"
    ]


def test_other_samples_are_asked_about_anew(tmp_path, monkeypatch):
    """What is cached of some samples is not taken for what is said of others."""
    torch.set_num_threads(1)
    module = "brainleaks.pipeline.evidence.membership.draw"
    small, cache = study(["loss-threshold"], epochs=1, hidden=10), Cache(tmp_path / "cache")
    scores = [run_study(small, cache=cache).evidence["membership"].tensors for _ in range(2)]
    monkeypatch.setattr(module, lambda data, most, seed: draw(data, most, seed + 1))
    scores.append(run_study(small, cache=cache).evidence["membership"].tensors)
    first, again, others = (tensors["membership"]["loss-threshold"] for tensors in scores)
    assert torch.equal(first, again)
    assert not torch.equal(first, others)
