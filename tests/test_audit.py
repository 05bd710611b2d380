"""The whole pipeline on a user's own model and data, from both ends: a file and a Python object."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

import brainleaks as package
from brainleaks import InputError
from brainleaks.audit import audit, plan, run, run_twin, write
from brainleaks.audit.infer import Inputs
from brainleaks.audit.plan import suitable
from brainleaks.cli.audit import _own_data, _status
from brainleaks.cli.audit import audit as audit_command
from brainleaks.data import digits
from brainleaks.data.encoding import RateCode
from brainleaks.data.own import EventFolder, OwnData
from brainleaks.evaluation.levels import no_claim
from brainleaks.evaluation.verdict import decide
from brainleaks.files import atomic
from brainleaks.networks import Response, SpikingMLP
from brainleaks.neuron import FastSigmoid
from brainleaks.pipeline import Cache, run_study
from brainleaks.studies import load_study
from brainleaks.training import Recipe, fit
from recordings import evt
from test_cli import brainleaks, refused

STEPS = 10
QUICK = (
    "judging={judge_steps: 120, reconstructions: 1}",
    "target.training.epochs=6",
    "draws=2",
)


def new_network():
    return SpikingMLP((1, 8, 8), 10, hidden=120, beta=0.7, surrogate=FastSigmoid(40))


def audited(*arguments, **how):
    """The networks, data and evidence of an audit."""
    return audit(*arguments, **how).outcome


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def cache(base):
    return Cache(base / "store")


@pytest.fixture(scope="module")
def data(base):
    """The digits as a user has them: a folder of PNGs."""
    whole = digits.load(base)
    for part, count in (("train", 700), ("test", 200)):
        inputs, labels, _ = getattr(whole, part).first(count)
        for i, (image, label) in enumerate(zip(inputs, labels.tolist(), strict=True)):
            path = base / "digits" / part / str(label) / f"{i:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image[0] * 255).round().byte().numpy()).save(path)
    return base / "digits"


@pytest.fixture(scope="module")
def network(base):
    torch.manual_seed(0)
    made = new_network()
    fit(
        made,
        digits.load(base).train.first(700),
        Recipe(learning_rate=3e-3, batch_size=50, epochs=8, gradient_clip=1.0),
        encode=RateCode(STEPS),
        generator=torch.Generator().manual_seed(0),
    )
    return made


@pytest.fixture(scope="module")
def model(base, network):
    atomic.write_tensors(base / "net.safetensors", network.state_dict())
    return base / "net.safetensors"


@pytest.fixture
def adapters(monkeypatch):
    """A stand-in for the adapters, which loads networks of this package."""

    def load_model(path, *, framework, factory, samples, classes, dt=None, reset=None):
        made = new_network()
        made.load_state_dict(atomic.read_tensors(path))
        seen.update(framework=framework, factory=factory, shape=tuple(samples.shape))
        return SimpleNamespace(
            network=made, framework="snntorch", lowered=True, facts={"beta": 0.7}
        )

    seen = {}
    stand_in = SimpleNamespace(load_model=load_model, seen=seen)
    monkeypatch.setitem(sys.modules, "brainleaks.adapters", stand_in)
    monkeypatch.setattr(package, "adapters", stand_in, raising=False)
    return stand_in


def arguments(model, data, out, *more):
    settings = [word for text in QUICK for word in ("--set", text)]
    how = ["--data", data, "--steps", STEPS, "--attack", "brainleaks-v1", "--out", out]
    return ["audit", model, *how, *settings, *more]


@pytest.fixture
def shared_store(cache, monkeypatch):
    monkeypatch.setenv("BRAINLEAKS_STORE", str(cache.root))


def test_a_file_on_the_command_line(base, model, data, adapters, shared_store, monkeypatch):
    out = base / "run"
    done = brainleaks(*arguments(model, data, out, "--factory", "mine:net", "--fail-on", "1"))
    assert done.returncode == 1, done.stderr
    assert "1 class signature             yes " in done.stdout
    assert "model (snntorch, lowered): test accuracy 0.9" in done.stdout
    assert "of 10 classes, numbered in this order: 0, 1, 2" in done.stdout
    assert adapters.seen == {
        "framework": None,
        "factory": "mine:net",
        "shape": (STEPS, 10, 1, 8, 8),
    }
    results = json.loads((out / "results.json").read_text())
    assert results["verdict"]["level"] == 1
    assert {c["control"] for c in results["controls"]} == {
        "noise", "untrained", "shuffled-labels", "without-class", "class-mean",
    }  # fmt: skip
    target = results["target"]
    assert (target["family"], target["framework"], target["lowered"]) == ("snn", "snntorch", True)
    assert target["weights"]["file"] == "net.safetensors"
    assert target["adapter"] == {"beta": 0.7}
    assert not (out / "target.safetensors").exists()
    page = (out / "report.html").read_text()
    assert "The target is a model of snntorch." in page
    done = brainleaks(*arguments(model, data, out, "--factory", "mine:net", "--json"))
    assert done.returncode == 0
    assert json.loads(done.stdout) == results
    # the study says all of it again, and runs as it is, without a stage being made anew
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", pytest.fail)
    monkeypatch.setattr("brainleaks.pipeline.stages.panel.scores", pytest.fail)
    study = out / "study.yaml"
    untrusted = brainleaks("run", study, "--out", base / "again")
    assert untrusted.returncode == 2
    assert "target.factory names mine:net" in untrusted.stderr
    again = brainleaks("run", study, "--trust", "--out", base / "again", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) | {"run_dir": results["run_dir"]} == results


def test_a_network_in_python(base, network, data, cache, monkeypatch):
    """The same network is the same target, by whichever way it came."""
    outcome = audited(
        network, data, encoding="rate", steps=STEPS, attacks=["brainleaks-v1"], settings=QUICK,
        cache=cache,
    )  # fmt: skip
    assert outcome.verdict["levels"][0]["status"] == "yes"
    assert outcome.target.facts["framework"] == "brainleaks"
    assert outcome.target.facts["test_accuracy"] > 0.85
    results = write(outcome, base / "python")
    assert results["verdict"] == outcome.verdict
    whole = digits.load(base)
    pair = [TensorDataset(*getattr(whole, part).first(200)[:2]) for part in ("train", "test")]
    planned = plan(network, pair, inputs=Inputs(steps=STEPS))
    assert planned.dataset.input_shape == (1, 8, 8)
    assert planned.study.dataset.path == "data in memory"


def test_an_untrained_network_does_not_leak(data, cache):
    torch.manual_seed(5)
    outcome = audited(
        new_network(), data, steps=STEPS, attacks=["brainleaks-v1"], settings=QUICK, cache=cache
    )
    assert outcome.verdict["verdict"] != "leak"
    assert "The model recognises 0." in outcome.verdict["reasons"][-1]


class Sealed(nn.Module):
    """Answers, and shows no weights to train anew: what a service does."""

    spiking, activations = True, 1000

    def __init__(self, network):
        super().__init__()
        self.inner = [network.requires_grad_(False)]
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, spikes):
        return self.inner[0](spikes)


def test_what_cannot_be_trained_anew_is_inconclusive(network, data, cache):
    outcome = audited(
        Sealed(network), data, steps=STEPS, attacks=["brainleaks-v1"], settings=QUICK, cache=cache
    )
    assert outcome.verdict["verdict"] == "inconclusive"
    first, second = outcome.verdict["reasons"]
    assert "are missing: untrained, shuffled-labels, without-class" in first
    assert second == (
        "The target's architecture cannot be retrained: it has no weights that can be seen."
    )
    assert {c["control"] for c in outcome.facts["controls"]} == {"noise", "class-mean"}


def test_a_recipe_that_does_not_train_the_architecture(network, data, cache):
    outcome = audited(
        network, data, steps=STEPS, attacks=["brainleaks-v1"],
        settings=[*QUICK, "target.training.learning_rate=1e-9"], cache=cache,
    )  # fmt: skip
    assert outcome.verdict["verdict"] == "inconclusive"
    assert "retrained on half of the classes, recognises" in outcome.verdict["reasons"][1]


@pytest.mark.parametrize("encoding", ["latency", "direct"])
def test_behind_another_code_a_network_is_one_of_images(network, data, cache, encoding):
    quick = ["judging=null", "evaluators.ann-conv.training.epochs=1", "draws=1"]
    outcome = audited(
        network, data, encoding=encoding, steps=STEPS, attacks=["fredrikson"],
        settings=[*quick, "attacks.fredrikson.iterations=20"], cache=cache,
    )  # fmt: skip
    assert outcome.study.family == "snn"
    assert not outcome.study.spiking
    assert outcome.reconstructions[0].values.shape == (10, 1, 8, 8)
    assert outcome.reconstructions[0].values.std() > 0


@pytest.mark.parametrize("access", ["gradients", "labels"])
@pytest.mark.parametrize("extent", ["none", "quick", "full"])
def test_how_far_membership_is_tested(network, data, access, extent):
    study = plan(network, data, inputs=Inputs(steps=STEPS), access=access, membership=extent).study
    asked = {name for name, attack in study.attacks.items() if attack.kind == "membership"}
    quick = {"gradients": {"loss-threshold", "lira", "rmia"}, "labels": {"noise-agreement"}}
    if extent == "none":
        assert not asked
        assert study.membership is None
        return
    assert asked >= quick[access]
    assert (asked == quick[access]) is (extent == "quick" or access == "labels")
    assert study.membership.shadows == (16 if extent == "full" else 4)
    named = plan(network, data, inputs=Inputs(steps=STEPS), attacks=["brainleaks-v1"]).study
    assert list(named.attacks) == ["brainleaks-v1"]


def test_reference_networks_of_a_model_from_elsewhere(base, network, data, cache):
    """They have its architecture, and the verdict says whether members can be told."""
    outcome = audited(
        network, data, steps=STEPS, attacks=["loss-threshold", "lira"], cache=cache,
        settings=[*QUICK, "membership.samples=150"],
    )  # fmt: skip
    found = outcome.facts["evidence"]["membership"]
    assert found["shadows"] == 4
    assert found["remarks"] == []
    assert found["attacks"].keys() == {"loss-threshold", "lira"}
    (said,) = outcome.verdict["claims"]
    assert said["shown"] is not None
    write(outcome, base / "members")
    assert "Who was in the training set" in (base / "members" / "report.html").read_text()


@pytest.fixture(scope="module")
def initial(base):
    """The weights that the network had before it was trained."""
    torch.manual_seed(0)
    atomic.write_tensors(base / "initial.safetensors", new_network().state_dict())
    return base / "initial.safetensors"


def test_initial_weights_are_granted(model, initial, data, cache, adapters):
    """The target's, by a file; those of reference networks and controls are known anyway."""
    outcome = audited(
        model, data, factory="any:thing", initial_weights=initial, steps=STEPS, cache=cache,
        attacks=["weight-credit", "discriminant"], settings=[*QUICK, "membership.samples=150"],
    )  # fmt: skip
    found = outcome.facts["evidence"]["membership"]
    assert outcome.study.access == "initial-weights"
    assert found["attacks"].keys() == {"weight-credit", "discriminant"}
    assert not outcome.failures
    for name, tensor in outcome.target.initial().state_dict().items():
        assert torch.equal(tensor, atomic.read_tensors(initial)[name])
    others = audited(
        model, data, factory="any:thing", initial_weights=model, steps=STEPS, cache=cache,
        attacks=["loss-threshold"], settings=[*QUICK, "membership.samples=150"],
    )  # fmt: skip
    assert others.target.key != outcome.target.key


@pytest.mark.parametrize("extent", ["quick", "full"])
def test_attacks_by_initial_weights(model, initial, data, extent):
    study = plan(
        model, data, factory="any:thing", initial_weights=initial, inputs=Inputs(steps=STEPS),
        membership=extent,
    ).study  # fmt: skip
    assert study.target.initial == str(initial)
    named = {"weight-credit"} | ({"weight-span", "discriminant"} if extent == "full" else set())
    assert named <= study.attacks.keys()
    assert {"loss-threshold", "smooth-inversion"} <= study.attacks.keys()


def test_initial_weights_of_another_network(tmp_path, model, data, cache, monkeypatch):
    def load_model(path, **_):
        return SimpleNamespace(
            network=nn.Linear(3 if path == other else 4, 2), framework="torch", lowered=False,
            facts={},
        )  # fmt: skip

    other = tmp_path / "other.safetensors"
    other.touch()
    stand_in = SimpleNamespace(load_model=load_model)
    monkeypatch.setitem(sys.modules, "brainleaks.adapters", stand_in)
    monkeypatch.setattr(package, "adapters", stand_in, raising=False)
    with pytest.raises(InputError, match="does not hold the initial weights of the model"):
        audit(model, data, factory="any:thing", initial_weights=other, steps=STEPS, cache=cache)


@pytest.mark.parametrize(
    ("fail_on", "levels", "status"),
    [
        ("membership", {3: True}, 1),
        ("membership", {2: True, 3: False, 4: None}, 0),
        ("membership", {3: False, 4: True}, 1),
        ("membership", {2: True, 3: None, 4: False}, 3),
        ("membership", {2: True, 4: False}, 3),
        ("leak", {1: True, 2: False, 4: False}, 0),
        ("leak", {2: None, 3: None}, 3),
        ("leak", {3: True}, 1),
        ("leak", {3: False}, 3),
        ("leak", {2: None, 4: False}, 3),
        ("1", {1: True, 2: False}, 1),
        ("1", {1: False, 2: False}, 0),
        ("4", {2: True, 4: False}, 0),
        ("inconclusive", {2: None}, 1),
        ("inconclusive", {2: False}, 0),
        (None, {3: True}, 0),
    ],
)
def test_the_status_of_a_check(fail_on, levels, status):
    claims = [no_claim("kind", n, "Said.", []) | {"shown": yes} for n, yes in levels.items()]
    assert _status({"verdict": decide(claims)}, fail_on) == status


def test_events(base, cache):
    """Recordings of two polarities: what is not given is inferred, and said."""
    rng = np.random.default_rng(0)
    for part, name, i in np.ndindex(2, 5, 4):
        place = base / "events" / ("train", "test")[part] / f"c{name}"
        place.mkdir(parents=True, exist_ok=True)
        t = np.sort(rng.integers(0, 10_000, 80))
        t[[0, -1]] = 0, 10_000
        x, y = rng.integers(0, 9, 80), rng.integers(0, 2, 80) + 2 * name
        x[0], y[1] = 8, 9
        np.savez(place / f"{i}.npz", x=x, y=y, t=t, p=rng.integers(0, 2, 80))
    torch.manual_seed(0)
    seen = SpikingMLP((2, 10, 9), 5, hidden=20, beta=0.7, surrogate=FastSigmoid(40))
    outcome = audited(
        seen, base / "events", steps=8, attacks=["brainleaks-v1"], cache=cache,
        settings=["judging={judge_steps: 4, reconstructions: 1, controls: [noise]}", "draws=2"],
    )  # fmt: skip
    study = outcome.study
    assert study.dataset.sensor == (10, 9)
    assert (study.frames.frame_us, study.frames.polarity) == (1250, "both")
    assert "The sensor has 10 x 9 pixels (inferred by its events)." in study.description
    assert "1,250 microseconds (inferred so that the median recording has 8)" in study.description
    assert outcome.reconstructions[0].values.shape == (8, 5, 2, 10, 9)
    results = write(outcome, base / "events-run")
    assert results["dataset"]["input_shape"] == [2, 10, 9]
    fields = plan(seen, base / "events", inputs=Inputs(steps=8)).study.attacks
    fires = outcome.dataset.test.inputs[torch.arange(20)].mean()
    assert fields["pattern-inversion"].rate == pytest.approx(float(fires), rel=0.2)
    assert f"fires: in {fields['smooth-inversion'].rate:g} of the frames" in study.description


def test_camera_files_whose_times_are_repaired(tmp_path):
    """The size of the sensor is what the files say, and the audit says what it repaired."""
    rng = np.random.default_rng(0)
    for part, name, i in np.ndindex(2, 5, 2):
        place = tmp_path / ("train", "test")[part] / f"c{name}"
        place.mkdir(parents=True, exist_ok=True)
        rows = [(int(rng.integers(8)), name, 100 * k, k % 2) for k in range(400)]
        if i == 0:
            rows[200], rows[201] = rows[201], rows[200]
            rows[300] = (3, 3, 5, 1)
        (place / f"{i}.raw").write_bytes(evt("2.0", rows, size="12x10"))
    seen = SpikingMLP((2, 10, 12), 5, hidden=20, beta=0.7, surrogate=FastSigmoid(40))
    with pytest.raises(InputError, match=r"0\.raw: time runs backwards .* Use repair_times=True"):
        plan(seen, tmp_path, inputs=Inputs(steps=8))
    own = OwnData(str(tmp_path), repair_times=True)
    study = plan(seen, own, inputs=Inputs(steps=8)).study
    assert "The sensor has 10 x 12 pixels (inferred from its files)." in study.description
    assert (
        "Times were repaired in 10 recordings: 10 events that came late were sorted, 10 whose "
        "time jumps were dropped." in study.description
    )
    assert study.dataset.repair_times
    first = next(iter(EventFolder(study.dataset).recordings(tmp_path)))
    assert len(first.events.t) == 399


def test_the_options_of_event_files_are_passed_on():
    for more, expected in (
        (["--repair-times", "--time-unit", "ms"], (True, "ms")),
        ([], (False, None)),
    ):
        context = audit_command.make_context("audit", ["net.pt", "--data", "events", *more])
        own = _own_data("events", context.params)
        assert (own.repair_times, own.time_unit) == expected


def test_colour(base, cache):
    generator = torch.Generator().manual_seed(0)
    part = TensorDataset(torch.rand(15, 3, 8, 9, generator=generator), torch.arange(15) % 5)
    seen = SpikingMLP((3, 8, 9), 5, hidden=20, beta=0.7, surrogate=FastSigmoid(40))
    outcome = audited(
        seen, (part, part), steps=5, attacks=["brainleaks-v1"], cache=cache,
        settings=["judging=null", "draws=1", "evaluators.snn-conv.training.epochs=1"],
    )  # fmt: skip
    write(outcome, base / "colour")
    assert outcome.dataset.input_shape == (3, 8, 9)
    assert "Inputs have 8 x 9 pixels and three channels." in outcome.study.description
    figure = Image.open(base / "colour" / "figures" / "reconstructions.png").convert("RGB")
    assert np.ptp(np.asarray(figure), axis=2).max() > 100


def test_an_ordinary_twin(base, network, data, cache):
    planned = plan(
        network, data, inputs=Inputs(steps=STEPS), attacks=["brainleaks-v1"], settings=QUICK,
        twin=True,
    )  # fmt: skip
    assert planned.twin.family == "ann"
    smaller = (
        "target.network.hidden=30",
        "target.training.epochs=2",
        "evaluators.ann-conv.training.epochs=1",
        "attacks={fredrikson: {attack: fredrikson, iterations: 30}}",
    )
    text = yaml.safe_dump(planned.twin.model_dump(mode="json"))
    (base / "twin.yaml").write_text(text)
    planned = dataclasses.replace(planned, twin=load_study(str(base / "twin.yaml"), smaller))
    results = write(run(planned, cache=cache), base / "both", run_twin(planned, cache=cache))
    assert (base / "both" / "compare.html").exists()
    assert (base / "both" / "twin" / "report.html").exists()
    assert results["twin"]["target"]["family"] == "ann"
    assert results["comparison"]["groups"][1]["label"] == "audit-digits-twin"


class Broken(SpikingMLP):
    """Answers wrongly in a way that is chosen."""

    def __init__(self, change):
        super().__init__((1, 8, 8), 10, hidden=10, beta=0.7, surrogate=FastSigmoid(40))
        self.change = change

    def forward(self, spikes):
        return self.change(super().forward(spikes))


WRONG = [
    (lambda r: Response(r.spikes, r.membrane * torch.nan), "returns NaN or infinity"),
    (
        lambda r: Response(None, r.membrane.repeat(1, 1, 100)),
        "has 1,000 outputs but the data has",
    ),
    (lambda r: r.membrane, r"returned \(10, 3, 10\) for inputs \(T, B, C, H, W\)"),
    (lambda r: Response(None, r.membrane.sum(1)), r"expected \(T, B, classes\) or \(B, classes\)"),
    (lambda r: "spam", "returned str for inputs"),
    (lambda r: Response(r.spikes, r.membrane.detach()), "outputs cannot be differentiated"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_what_is_no_answer_is_named(data, cache, change, said):
    with pytest.raises(InputError, match=said) as caught:
        audit(Broken(change), data, steps=STEPS, cache=cache)
    assert str(caught.value).count("\n") == 0


def test_other_inputs_than_the_model_takes(data, cache):
    larger = SpikingMLP((1, 9, 9), 10, hidden=10, beta=0.7, surrogate=FastSigmoid(40))
    with pytest.raises(InputError, match=r"does not take inputs \(T, B, C, H, W\) of \(10, "):
        audit(larger, data, steps=STEPS, cache=cache)


def test_another_order_of_the_classes_is_found(network, data, cache):
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]

    class Reordered(SpikingMLP):
        def forward(self, spikes):
            response = super().forward(spikes)
            return Response(response.spikes[..., order], response.membrane[..., order])

    other = Reordered((1, 8, 8), 10, hidden=120, beta=0.7, surrogate=FastSigmoid(40))
    other.load_state_dict(network.state_dict())
    given = re.escape(repr([str(label) for label in order]))
    with pytest.raises(InputError, match=f"in another order .* use classes={given}$"):
        audit(other, data, steps=STEPS, cache=cache)
    planned = plan(
        other, OwnData(str(data), classes=tuple(map(str, order))), inputs=Inputs(steps=STEPS)
    )
    assert planned.dataset.class_names == tuple(map(str, order))


def test_what_is_refused_on_the_command_line(base, model, data, adapters, tmp_path):
    ask = ["audit", model, "--data", data]
    for more, said in (
        (["--attack", "guess"], "--attack guess: unknown attack"),
        (["--attack", "within-prior"], "--attack within-prior: searches a prior of classes"),
        (["--attack", "fredrikson"], "does not support spiking networks"),
        (
            ["--attack", "brainleaks-v1", "--access", "labels"],
            "needs gradients, and access",
        ),
        (["--initial-weights", tmp_path / "none"], "expected the model's initial weights"),
        (["--initial-weights", model, "--recipe", "a:b"], "leave out one of the two"),
        (["--initial-weights", model, "--access", "scores"], "--access scores withholds them"),
        (["--sensor", "34"], "--sensor: found '34'"),
        (["--frame-us", "10"], "--frame-us: only event recordings are cut into frames"),
        (["--holdout", "0.2"], "has a test folder"),
        (["--set", "nonsense=1"], "nonsense: unknown field"),
        (["--out", base], "is inside"),
    ):
        assert said in refused(*ask, *more), more
    assert "no such file" in refused("audit", tmp_path / "absent", "--data", data)
    assert "MODEL: missing" in refused("audit", "--data", data)
    assert "no such file or folder" in refused("audit", model, "--data", tmp_path / "absent")
    events = tmp_path / "events"
    for part in ("train", "test"):
        (events / part / "a").mkdir(parents=True)
        np.savez(events / part / "a" / "0.npz", x=[1, 2], y=[1, 1], t=[0, 50], p=[0, 1])
    assert "events has one class; expected at least two" in refused(
        "audit", model, "--data", events
    )
    said = refused("audit", model, "--data", events, "--encoding", "rate")
    assert "--encoding rate: event data are spikes" in said


MODELS = """
import snntorch as snn
import torch
from torch import nn


class Steps(nn.Module):
    def __init__(self, classes=10, inputs=64, change=lambda trace: trace):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(inputs, 20), snn.Leaky(0.8, init_hidden=True)
        self.fc2, self.lif2 = nn.Linear(20, classes), snn.Leaky(0.8, init_hidden=True)
        self.change = change

    def forward(self, x):
        return self.change(self.lif2(self.fc2(self.lif1(self.fc1(x.flatten(1))))))


def thousand():
    return Steps(1000)


def nan():
    return Steps(change=lambda trace: trace * torch.nan)


def noisy():
    return Steps(change=lambda trace: nn.functional.dropout(trace + 1.0, 0.5))


def larger():
    return Steps(inputs=81)


def pooled():
    return Steps(change=lambda trace: trace.mean())


def pictures():
    return Steps(change=lambda trace: trace.unflatten(1, (2, 5)))


def ordinary():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))


def reshaping():
    return nn.Sequential(nn.Flatten(0, 2), nn.Flatten(), nn.Linear(64, 10))
"""

REFUSED = {
    "thousand": "the model has 1000 outputs but the data has 10 classes; use the data that the",
    "nan": "the network returns NaN or infinity; check its weights",
    "noisy": "outputs differ between two calls on the same input in eval mode",
    "larger": "does not take inputs of shape (1, 8, 8), nor flattened: mat1 and mat2",
    "pooled": "3 inputs the network returned (10,); expected a tensor of shape (10, 3, 10)",
    "pictures": "3 inputs the network returned (10, 3, 2, 5); expected a tensor of shape (10, 3,",
    "ordinary": "if it takes images, as ordinary networks do, give --framework torch or --encoding",
    "reshaping": "if it takes images, as ordinary networks do, give --framework torch or --encod",
}


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Models of a user's, in the current folder."""
    (tmp_path / "their_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("their_models", None)


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_are_refused_on_the_command_line(name, data, models):
    factory = f"their_models:{name}"
    assert REFUSED[name] in refused("audit", "--factory", factory, "--data", data, "--steps", 10)


def test_dropout_in_training_mode_is_off_and_that_is_printed(data, models, shared_store):
    (models / "dropping.py").write_text(
        "from torch import nn\nfrom their_models import Steps\n"
        "def net():\n    return nn.Sequential(Steps(), nn.Dropout(0.5)).train()\n"
    )
    ask = ["audit", "--factory", "dropping:net", "--data", data, "--steps", 10]
    quick = ["judging=null", "draws=1", "evaluators.snn-conv.training.epochs=1"]
    quick += ["attacks.brainleaks-v1.iterations=1"]
    settings = [word for text in quick for word in ("--set", text)]
    done = brainleaks(*ask, "--attack", "brainleaks-v1", "--out", models / "run", *settings)
    assert done.returncode == 0, done.stderr
    note = "the network came in training mode; it is audited in eval mode, its 1 dropout layers off"
    assert f"  Note: {note}.\n" in done.stdout
    assert note in (models / "run" / "report.html").read_text()


def test_data_that_is_refused_on_the_command_line(data, models):
    def picture(name, side=8):
        (models / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (side, 8)).save(models / "data" / name)

    def said():
        return refused("audit", "--factory", "their_models:nan", "--data", models / "data")

    for name in ("train/a/0.png", "train/b/0.png", "test/a/0.png", "test/b/0.png"):
        picture(name)
    picture("test/c/0.png")
    assert "the class c is only in test" in said()
    (models / "data" / "test" / "c" / "0.png").unlink()
    assert "test/c is empty: the class c has no samples" in said()
    (models / "data" / "test" / "c").rmdir()
    picture("train/a/1.png", side=9)
    assert "1.png has 9 x 8 pixels but" in said()
    whole = (models / "data" / "train" / "a" / "1.png").read_bytes()
    (models / "data" / "train" / "a" / "1.png").write_bytes(whole[:40])
    assert "1.png is not a readable image" in said()


@pytest.mark.parametrize("access", ["gradients", "scores", "labels"])
@pytest.mark.parametrize("spiking", [True, False])
def test_the_attacks_that_are_chosen_are_those_that_the_page_lists(access, spiking):
    page = (Path(__file__).parent.parent / "docs" / "audit.md").read_text()
    (row,) = re.findall(rf"^\| `{access}` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    cell = row[0] if spiking or row[1] == "the same" else row[1]
    assert suitable(access, spiking) == re.findall("`(.*?)`", cell)


def test_recordings_of_channels_have_an_attack_of_their_own():
    images, streams = (set(suitable("gradients", False, code)) for code in (None, "stream"))
    assert streams ^ images == {"stream-inversion", "fredrikson"}
    assert "stream-inversion" in streams


def test_attacks_start_from_how_bright_inputs_are(data):
    study = plan(new_network(), data, inputs=Inputs(steps=STEPS)).study
    held_out = [np.asarray(Image.open(path)) for path in sorted((data / "test").rglob("*.png"))]
    mean = np.mean(held_out) / 255
    assert 0.2 < mean < 0.4
    for name in ("smooth-inversion", "pattern-inversion"):
        assert study.attacks[name].rate == pytest.approx(mean, abs=0.005)
    assert f"how bright inputs are: {study.attacks[name].rate:g} on average" in study.description
    sparse = np.zeros((40, 5, 1, 4, 4), np.uint8)
    sparse[:, ::2, 0, 1, 1:3] = 1
    np.savez(data.parent / "framed.npz", x=sparse, y=np.arange(40) % 5)
    framed = OwnData(str(data.parent / "framed.npz"), holdout=0.2)
    small = SpikingMLP((1, 4, 4), 5, hidden=10, beta=0.7, surrogate=FastSigmoid(40))
    study = plan(small, framed, inputs=Inputs()).study
    assert study.attacks["pattern-inversion"].rate == pytest.approx(3 * 2 / (5 * 16), abs=0.001)


def test_the_study_of_a_python_object_says_so(base, data, tmp_path):
    study = plan(new_network(), data, inputs=Inputs(steps=STEPS)).study
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study.model_dump(mode="json")))
    with pytest.raises(InputError, match="no such file: handed over in Python"):
        run_study(load_study(str(tmp_path / "study.yaml")))


def test_help_is_quick_and_says_all():
    done = subprocess.run(
        [sys.executable, "-m", "brainleaks", "audit", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    for option in ("--factory", "--holdout", "--access", "--fail-on", "--twin", "--polarity"):
        assert option in done.stdout
