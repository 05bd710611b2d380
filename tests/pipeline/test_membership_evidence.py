"""Membership as evidence: from a study to the verdict and the report."""

import json

import pytest
import torch

from brainleaks.data import Samples, digits
from brainleaks.data.parts import joined
from brainleaks.errors import InputError
from brainleaks.files.atomic import read_tensors
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.controls import OwnTargets
from brainleaks.pipeline.evidence import Case
from brainleaks.pipeline.evidence.membership import _Gathering
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.pipeline.shadows import train_shadows
from brainleaks.report import write_report
from brainleaks.runs import folder, read_results
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
    attacks = ["loss-threshold", "lira-offline", "rmia", "weight-span"]
    outcome = run_study(study(attacks), cache=Cache(where / "cache"))
    results = folder.write(outcome, where / "run", write_report)
    return where, results


def test_an_overfitted_network_shows_its_members(overfitted):
    _, results = overfitted
    (claim,) = results["verdict"]["claims"]
    assert (claim["level"], claim["shown"]) == (3, True)
    found = results["evidence"]["membership"]["attacks"]
    assert found["lira-offline"]["auc"]["low"] > 0.55
    assert "Training samples can be recognised" in results["verdict"]["sentence"]


def test_the_controls_show_nothing(overfitted):
    _, results = overfitted
    for name, attack in results["evidence"]["membership"]["attacks"].items():
        for control, area in attack["controls"].items():
            assert area["low"] < 0.56, (name, control)


def test_the_run_folder_has_the_scores_and_the_report_the_table(overfitted):
    where, results = overfitted
    tensors = read_tensors(where / "run" / "membership.safetensors")
    assert int(tensors["member"].sum()) == 120
    assert len(tensors["rmia"]) == 420
    page = (where / "run" / "report.html").read_text()
    assert '<a href="#membership">Membership</a>' in page
    assert "Who was in the training set" in page
    assert "ROC curves on logarithmic axes" in page
    assert read_results(where / "run")["evidence"] == results["evidence"]


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
    evidence = _Gathering(Case(other, target, OwnTargets(other), [], dict(seen.attacks))).run()
    (claim,) = evidence.claims
    assert claim["shown"] is False
    assert "Nothing shows that the model was trained on these samples" in claim["sentence"]


def _part(whole, first):
    from dataclasses import replace

    samples = joined(whole.train, whole.test)
    inputs, labels = (part[first : first + 420] for part in samples)
    train, test = Samples(inputs[:120], labels[:120]), Samples(inputs[120:], labels[120:])
    return replace(whole, train=train, test=test)


def test_each_sample_is_in_as_many_training_sets(tmp_path):
    torch.set_num_threads(1)
    seen = study(["rmia"], epochs=1, hidden=10, train=300)
    data = _part(digits.load(tmp_path), 0)
    pipeline = Pipeline(seen, 0, data, "cpu", Cache(tmp_path / "cache"))
    few, many = (train_shadows(pipeline, OwnTargets(pipeline), n) for n in (4, 8))
    learned = torch.stack([shadow.learned for shadow in many])
    assert learned[:4].sum(0).eq(2).all()
    assert learned[4:].sum(0).eq(2).all()
    assert all(torch.equal(a.learned, b.learned) for a, b in zip(few, many, strict=False))
    assert few[0].trained.key == many[0].trained.key


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
