"""Defences on the whole road: the target, what controls and attackers train, the report."""

import pytest
import torch
from pydantic import TypeAdapter

from brainleaks import FastSigmoid, InputError
from brainleaks.data import digits
from brainleaks.defences import AnyDefence
from brainleaks.files.atomic import read_tensors
from brainleaks.networks import SpikingMLP
from brainleaks.pipeline import Cache, defended, run_study
from brainleaks.pipeline.built import Built
from brainleaks.pipeline.controls import OwnTargets
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.pipeline.shadows import train_references
from brainleaks.report import write_comparison, write_report
from brainleaks.report.defended import described, listed
from brainleaks.runs import folder
from brainleaks.studies.reading import parse_study

NEURON = {"beta": 0.7, "surrogate": {"surrogate": "fast-sigmoid", "slope": 40}}
TRAINING = {"learning_rate": 2e-3, "batch_size": 20, "epochs": 4}


def study(*defences, attacks=("loss-threshold", "lira"), **more):
    network = {"architecture": "spiking-mlp", "hidden": 40, **NEURON}
    return parse_study(
        "test",
        {
            "name": "defended",
            "dataset": "digits",
            "subset": {"train": 120, "test": 120},
            "encoding": {"encoding": "rate", "steps": 5},
            "access": "initial-weights",
            "target": {"network": network, "training": TRAINING},
            "attacks": {name: {"attack": name} for name in attacks},
            "membership": {"samples": 40, "draws": 2, "shadows": 4},
            "defences": [{"name": d} if isinstance(d, str) else d for d in defences],
            **more,
        },
    )


def prepared(made, cache):
    data = digits.load(None)
    data = type(data)(data.name, data.train.first(120), data.test.first(120), data.class_names)
    return Pipeline(made, 0, data, "cpu", cache)


@pytest.fixture
def cache(tmp_path):
    torch.set_num_threads(1)
    return Cache(tmp_path / "cache")


def test_a_study_without_defences_is_what_it_was(cache):
    assert "defences" not in study().model_dump(mode="json")
    key = defended.train(prepared(study(), cache), "target", study().model).key
    assert "defences" not in key
    assert "deployed" not in key


def test_targets_controls_and_shadows_are_defended_alike(cache):
    made = study({"name": "quantisation", "bits": 2, "per": "tensor"})
    pipeline = prepared(made, cache)
    target = defended.train(pipeline, "target", made.model)
    targets = OwnTargets(pipeline)
    shadows, other = train_references(pipeline, targets, 4)
    each = [target, targets.untrained(), targets.shuffled(), targets.half(0, [0, 2]), other.trained]
    for trained in [*each, *(shadow.trained for shadow in shadows)]:
        assert len(trained.network.fc1.weight.unique()) == 3, trained.name
    evaluator = pipeline.train("judge", made.model)
    assert len(evaluator.network.fc1.weight.unique()) > 100


def test_another_strength_after_training_does_not_train_again(cache, monkeypatch):
    def target(*defences):
        made = study(*defences)
        return defended.train(prepared(made, cache), "target", made.model)

    plain = target()
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", pytest.fail)
    eight, two = (target({"name": "quantisation", "bits": bits}) for bits in (8, 2))
    assert eight.key != two.key != plain.key
    assert abs(eight.facts["test_accuracy"] - plain.facts["test_accuracy"]) < 0.05
    assert two.facts["test_accuracy"] != plain.facts["test_accuracy"]
    assert two.facts["seconds"] == plain.facts["seconds"]  # those of the training
    with pytest.raises(TypeError):  # what the failing stand-in does not take
        target({"name": "weight-decay"})


def test_who_has_the_weights_is_not_bound_by_answers(cache):
    made = study("top-1")
    pipeline = prepared(made, cache)
    target = defended.train(pipeline, "target", made.model)
    spikes = torch.bernoulli(pipeline.dataset.test.inputs[:6].expand(5, -1, -1, -1, -1))
    told = pipeline.view(target, "scores").scores(spikes)
    assert told.unique().tolist() == [0, 1]
    assert len(pipeline.view(target, "gradients").scores(spikes).unique()) > 2


def test_who_has_the_weights_undoes_what_can_be_undone(cache):
    made = study({"name": "quantisation", "bits": 2, "per": "tensor"})
    pipeline = prepared(made, cache)
    target = defended.train(pipeline, "target", made.model)
    views = [pipeline.view(target, "gradients", undo=True) for _ in range(2)]
    seen = [view.network.fc1.weight for view in views]
    assert torch.equal(*seen)
    assert len(seen[0].unique()) > 100
    assert "undone" in pipeline.seen(target, "gradients", undo=True)
    assert pipeline.seen(target, "scores", undo=True) == target.key
    assert len(pipeline.view(target, "scores", undo=True)._network.fc1.weight.unique()) == 3
    assert len(pipeline.view(target, "gradients").network.fc1.weight.unique()) == 3


def test_a_defended_run_says_so(cache, tmp_path):
    made = study(
        {"name": "dp-sgd", "noise_multiplier": 1.5, "delta": 1e-3},
        {"name": "pruning", "share": 0.25},
        "threshold-noise",
        {"name": "rounded-scores", "digits": 2},
        attacks=("loss-threshold", "lira", "weight-span", "discriminant"),
    )
    outcome = run_study(made, cache=cache)
    results = folder.write(outcome, tmp_path / "run", write_report)
    assert not results["failures"]
    private, pruned, noisy, rounded = results["defences"]
    assert private["facts"]["steps"] == 24
    assert 1 < private["facts"]["epsilon"] < 20
    assert results["evidence"]["membership"]["epsilon"]["low"] <= private["facts"]["epsilon"]
    assert pruned["settings"] == {"share": 0.25}
    assert (noisy["acts"], rounded["acts"]) == ("neurons", "answers")
    weights = read_tensors(tmp_path / "run" / "target.safetensors")["fc1.weight"]
    assert int((weights == 0).sum()) == weights.numel() // 4
    assert results["target"]["spikes"] > 1
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The target is defended." in page
    assert "epsilon" in page
    again = run_study(made, cache=Cache(tmp_path / "other"))
    for kept, found in ((outcome, again),):
        first, second = (o.evidence["membership"].tensors["membership"] for o in (kept, found))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_spikes_are_counted(cache):
    """By hand, over the same test samples and draws."""
    from brainleaks.data.encoding import RateCode
    from brainleaks.pipeline.stages import count_spikes
    from brainleaks.randomness import stream

    torch.manual_seed(0)
    network = SpikingMLP((1, 8, 8), 10, hidden=40, beta=0.7, surrogate=FastSigmoid(40))
    samples = digits.load(None).test.first(30)
    found = count_spikes(network, samples, encode=RateCode(5), name="n", seed=3)
    spikes = RateCode(5)(samples.inputs, stream(3, "n", "spikes"))
    hidden, _ = network.lif1(network.drive(spikes))
    out = network(spikes).spikes
    assert found == pytest.approx(float((hidden.sum() + out.sum()).detach()) / 30)


def test_a_foreign_model_is_defended_after_its_training(tmp_path, cache):
    content = study("top-1", {"name": "quantisation", "bits": 2, "per": "tensor"})
    plain = content.model_dump(mode="json")
    plain["target"] = {"model": "net.pt", "training": TRAINING}
    made = parse_study("test", plain | {"attacks": {"lira": {"attack": "lira"}}})
    torch.manual_seed(0)
    network = SpikingMLP((1, 8, 8), 10, hidden=40, beta=0.7, surrogate=FastSigmoid(40))
    build = lambda *given: Built(network, "brainleaks", True, {})  # noqa: E731
    outcome = run_study(made, cache=cache, build=build)
    assert len(outcome.target.network.fc1.weight.unique()) == 3
    assert outcome.facts["evidence"]["membership"]["attacks"]
    with pytest.raises(InputError, match="mixup acts on training, and an external target"):
        parse_study("test", plain | {"defences": [{"name": "mixup"}]})


def test_weights_from_a_file_are_defended_but_not_trained(tmp_path, cache):
    from brainleaks.files.atomic import write_tensors

    network = SpikingMLP((1, 8, 8), 10, hidden=40, beta=0.7, surrogate=FastSigmoid(40))
    path = tmp_path / "weights.safetensors"
    write_tensors(path, dict(network.state_dict()))
    pruned = run_study(study("pruning"), cache=cache, target_weights=path)
    assert int((pruned.target.network.fc1.weight == 0).sum()) == 40 * 64 // 2
    with pytest.raises(InputError, match="--target-weights: the defence mixup acts on training"):
        run_study(study("mixup"), cache=cache, target_weights=path)


@pytest.mark.parametrize(
    ("defences", "message"),
    [
        (
            [{"name": "quantisation", "bits": 1}],
            "defences.0.bits: found 1, input should be greater",
        ),
        ([{"name": "wall"}], "defences.0: .*'wall'"),
        (["top-1", "top-1"], "defences: top-1 is there more than once"),
        ([{"name": "dp-sgd"}], "defences.0.dp-sgd: give either noise_multiplier or epsilon"),
        ([{"name": "mixup", "colour": 1}], "defences.0.colour: unknown field"),
        (
            [{"name": "label-smoothing", "ramp": [0.5, 0.2]}],
            "defences.0.label-smoothing: ramp: smoothing must begin before",
        ),
    ],
)
def test_bad_defences_are_named(defences, message):
    with pytest.raises(InputError, match=message):
        study(*defences)


def test_defences_in_words():
    adapter = TypeAdapter(AnyDefence)
    one = adapter.validate_python({"name": "label-smoothing", "smoothing": -0.2})
    settings = {"smoothing": one.smoothing, "ramp": one.ramp, "nothing": None}
    assert listed(settings) == "smoothing -0.2, ramp 0 to 0"
    said = [{"name": "label-smoothing", "settings": settings}, {"name": "top-1", "settings": {}}]
    assert described(said) == "label-smoothing (smoothing -0.2, ramp 0 to 0), top-1"


def test_defended_beside_undefended(cache, tmp_path):
    """The comparison names the defences, and what each target is good for."""
    attacks = {"brainleaks-v1": {"attack": "brainleaks-v1", "iterations": 2, "time_steps": 5}}
    evaluator = {"network": {"architecture": "spiking-mlp", "hidden": 30, **NEURON}}
    more = {
        "evaluators": {"judge": evaluator | {"training": TRAINING | {"epochs": 1}}},
        "judging": {"judge_steps": 20, "reconstructions": 1, "controls": ["noise"]},
    }
    for i, defences in enumerate([(), ({"name": "pruning", "share": 0.5},)]):
        made = study(*defences, **more).model_dump(mode="json") | {"attacks": attacks}
        outcome = run_study(parse_study("test", made), cache=cache)
        folder.write(outcome, tmp_path / str(i), write_report)
    said = write_comparison([tmp_path / "0", tmp_path / "1"], tmp_path / "page.html")
    assert [g["label"] for g in said["groups"]] == [
        "defended",
        "defended with pruning (share 0.5)",
    ]
    utility = said["utility"]["defended with pruning (share 0.5)"]
    assert utility.keys() == {"test accuracy", "spikes a test sample"}
    assert "Spikes a test sample" in (tmp_path / "page.html").read_text()
