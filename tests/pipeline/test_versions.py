"""Golden values of every stage: they change together with the stage's version, or not at all.

After a version was raised, record the new values by
``BRAINLEAKS_RECORD=1 pytest tests/pipeline/test_versions.py``. They are compared to three digits:
processors round differently.
"""

import itertools
import json
import os
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch

from brainleaks import FastSigmoid, Target
from brainleaks.attacks import (
    ATTACKS,
    BoundaryRepulsion,
    BrainLeaksV1,
    BrainLeaksV2,
    Fredrikson,
    Gamin,
    PatternInversion,
    ScoreEvolution,
    SmoothInversion,
    StatisticsInversion,
    StreamInversion,
    WithinPrior,
)
from brainleaks.attacks.gradients import (
    ErrorIteration,
    GradientMatching,
    ReadoutSeparation,
    SpikeSeparation,
    TrainingStep,
)
from brainleaks.attacks.membership.knowledge import Candidates, References, confidences
from brainleaks.data import Samples, digits, digits_events
from brainleaks.data.encoding import RateCode
from brainleaks.data.events import Framing, framed
from brainleaks.defences import DEFENCES
from brainleaks.evaluation.panel import TAKES, new_judge, references
from brainleaks.monitor import Monitor
from brainleaks.networks import MLP, ConvNet, SpikingMLP, respond
from brainleaks.networks.config import SpikingMLPConfig
from brainleaks.pipeline import stages
from brainleaks.pipeline.keys import digest
from brainleaks.pipeline.reinitialise import reinitialise
from brainleaks.pipeline.versions import VERSIONS, of_attack
from brainleaks.target import RANKS
from brainleaks.training import Recipe, summed_cross_entropy
from brainleaks.training.prior import Prior

GOLDEN = Path(__file__).with_name("golden.json")
SHAPE, CLASSES = (1, 8, 8), 10
ALL = dict.fromkeys([*VERSIONS, *ATTACKS, "within-prior", *DEFENCES])


@cache
def data():
    whole = digits.load(Path())
    return replace(whole, train=whole.train.first(200), test=whole.test.first(50))


def network(*, spiking):
    torch.manual_seed(0)
    if spiking:
        return SpikingMLP(SHAPE, CLASSES, hidden=20, beta=0.7, surrogate=FastSigmoid(40)).eval()
    return MLP(SHAPE, CLASSES, hidden=20).eval()


def frames():
    some = itertools.islice(digits_events.recordings(Path()), 0, 1200, 100)
    framing = Framing(frame_us=15_000, denoise_us=40_000, polarity="both")
    both = (r._replace(part=part) for r in some for part in ("train", "test"))
    names = digits_events.CLASS_NAMES
    made = framed("few", both, framing, sensor=digits_events.SENSOR, class_names=names)
    inputs = made.train.inputs
    return {"pixels": inputs.pixels, "counts": inputs[torch.arange(2)].sum((0, 2, 3, 4))}


def train():
    neuron = {"beta": 0.7, "surrogate": FastSigmoid(40)}
    config = SpikingMLPConfig(architecture="spiking-mlp", hidden=20, **neuron)
    made = stages.new_network(config.build, data(), name="net", seed=0, device="cpu")
    recipe = Recipe(learning_rate=1e-3, batch_size=50, epochs=1)
    how = {"encode": RateCode(5), "name": "net", "seed": 0}
    stages.train(made, recipe, data().train, readout="membrane", monitor=Monitor(), **how)
    measured = stages.measure(made, config, recipe, data(), **how)
    return {**made.state_dict(), "measured": list(measured.values())}


def made_again():
    return reinitialise(network(spiking=True), torch.Generator().manual_seed(0)).state_dict()


def prior():
    made = stages.new_prior(SHAPE, latent=4, hidden=20, seed=0)
    recipe = Recipe(learning_rate=1e-3, batch_size=50, epochs=1)
    images = data().train.inputs
    stages.train_prior(made, images, recipe, seed=0, monitor=Monitor())
    return made.state_dict()


def judges():
    of_images = [name for name, signals in TAKES.items() if "image" in signals]
    made = [new_judge(name, data().train, data(), seed=0) for name in of_images]
    for judge in made:
        stages.train_judge(judge, data().test, steps=3, seed=0, monitor=Monitor())
    return made


def judge_weights():
    return {
        f"{judge.name}.{name}": value
        for judge in judges()
        if judge.network is not None
        for name, value in judge.network.state_dict().items()
    }


def score():
    panel = [judge for judge in judges() if judge.name in ("ann-conv", "nearest")]
    values = torch.rand(CLASSES, *SHAPE, generator=torch.Generator().manual_seed(0))
    beside = references(panel, data().train, Samples(*data().test))
    labels = torch.arange(CLASSES)
    return stages.score_all(panel, values, labels, beside, seed=0, monitor=Monitor())


def protocol():
    values = torch.rand(5, CLASSES, *SHAPE, generator=torch.Generator().manual_seed(0))
    judged = stages.judge_all(network(spiking=True), values, draws=3, name="net", seed=0)
    return {"matrix": judged.matrix, "metrics": list(judged.draws["mean"].values())}


def spikes():
    made = network(spiking=True)
    counted = stages.count_spikes(made, data().test, encode=RateCode(5), name="net", seed=0)
    return {"spikes": [counted]}


def defended(name):
    """The weights after a training or a deployment with the defence, or its answers."""
    settings = {"noise_multiplier": 1.0} if name == "dp-sgd" else {}
    defence, made = DEFENCES[name](**settings), network(spiking=True)
    if defence.acts == "step":
        torch.manual_seed(0)
        return defence({"weight": torch.randn(3, 4)}, generator=torch.Generator().manual_seed(0))
    if defence.acts == "answers":
        return {"answers": defence(torch.rand(6, CLASSES, generator=torch.Generator()).softmax(1))}
    if defence.acts == "training":
        recipe = Recipe(learning_rate=1e-3, batch_size=50, epochs=2)
        how = {"encode": RateCode(5), "name": "net", "seed": 0, "readout": "membrane"}
        stages.train(made, recipe, data().train, monitor=Monitor(), defences=[defence], **how)
        return made.state_dict()
    made = defence(made, data().train, generator=torch.Generator().manual_seed(0))
    inputs = RateCode(5)(data().test.inputs[:5], torch.Generator().manual_seed(0))
    return {**made.state_dict(), "membrane": respond(made, inputs).membrane.detach()}


SMALL = {
    "fredrikson": Fredrikson(iterations=5),
    "brainleaks-v1": BrainLeaksV1(iterations=2, time_steps=5),
    "brainleaks-v2": BrainLeaksV2(iterations=2, time_steps=5),
    "smooth-inversion": SmoothInversion(iterations=3, time_steps=5),
    "statistics-inversion": StatisticsInversion(iterations=3, members=2),
    "stream-inversion": StreamInversion(starts=2, iterations=2),
    "pattern-inversion": PatternInversion(looks=2, time_steps=5),
    "score-evolution": ScoreEvolution(probes=250, iterations=3, time_steps=5),
    "boundary-repulsion": BoundaryRepulsion(probes=250, iterations=3, time_steps=5),
    "gamin": Gamin(iterations=3, time_steps=5),
    **{name: made() for name, made in ATTACKS.items() if made.kind == "membership"},
    "user-inference": ATTACKS["user-inference"](),
    "spike-separation": SpikeSeparation(),
    "error-iteration": ErrorIteration(),
    "gradient-matching": GradientMatching(iterations=3),
    "readout-separation": ReadoutSeparation(iterations=3),
    "within-prior": WithinPrior(ScoreEvolution(probes=250, iterations=3, time_steps=5)),
}


def candidates():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(12, *SHAPE, generator=generator)
    return Candidates(Samples(images, torch.arange(12) % CLASSES), RateCode(5), draws=2)


def reference_scores():
    generator = torch.Generator().manual_seed(0)
    view = Target(network(spiking=True), input_shape=SHAPE, classes=CLASSES, access="scores")
    return {"scores": confidences(view, candidates(), generator)}


def view_of(access, seed=None):
    after = network(spiking=True)
    if seed is not None:
        torch.manual_seed(seed)
    before = SpikingMLP(SHAPE, CLASSES, hidden=20, beta=0.7, surrogate=FastSigmoid(40))
    return Target(after, input_shape=SHAPE, classes=CLASSES, access=access, initial=before)


def membership(attack):
    logits = torch.randn(4, 12, CLASSES, generator=torch.Generator().manual_seed(0))
    trained_on = (torch.arange(4)[:, None] + torch.arange(12)) % 4 < 2
    networks = [partial(view_of, RANKS[-1], 2 + k) for k in range(4)]
    references = References(logits.softmax(-1), trained_on, torch.arange(12) >= 6, networks)
    return {"answer": attack(view_of(attack.access), candidates(), references)}


def of_users(attack):
    logits = torch.randn(4, 12, CLASSES, generator=torch.Generator().manual_seed(0))
    users = torch.arange(12) % 3
    trained_on = (torch.arange(4)[:, None] + users) % 3 < 2
    references = References(logits.softmax(-1), trained_on, torch.zeros(12) > 0)
    asked = candidates()
    named = replace(asked, samples=asked.samples._replace(users=users))
    return {"answer": attack(view_of(attack.access), named, references)}


def recovered(attack):
    """Of the gradient of two samples."""
    torch.manual_seed(0)
    neuron = {"beta": 0.7, "surrogate": FastSigmoid(40)}
    made = {
        "spike-separation": lambda: SpikingMLP(SHAPE, CLASSES, hidden=300, **neuron),
        "error-iteration": lambda: MLP(SHAPE, CLASSES, hidden=300),
        "gradient-matching": lambda: ConvNet(SHAPE, CLASSES, kernel=2),
        "readout-separation": lambda: SpikingMLP(SHAPE, CLASSES, hidden=300, **neuron),
    }[attack.attack]()
    images = torch.rand(2, *SHAPE)
    inputs = torch.bernoulli(images.expand(4, -1, -1, -1, -1)) if made.spiking else images
    loss = summed_cross_entropy(respond(made, inputs), torch.tensor([1, 2]))
    loss.backward()
    step = TrainingStep(
        {name: p.grad for name, p in made.named_parameters()}, 2, 4 if made.spiking else 1
    )
    target = Target(made, input_shape=SHAPE, classes=CLASSES)
    found = attack(target, step)._asdict()
    assert found["exact"].all() or attack.random
    return {name: v for name, v in found.items() if v is not None and v.numel()}


def attacked(name):
    attack = SMALL[name]
    if name == "user-inference":
        return of_users(attack)
    if attack.kind == "membership":
        return membership(attack)
    if attack.kind == "recovered-batch":
        return recovered(attack)
    target = Target(
        network(spiking=attack.spiking is not False),
        input_shape=SHAPE,
        classes=CLASSES,
        access=attack.access,
    )
    call = attack
    if name == "within-prior":
        torch.manual_seed(0)
        call = lambda *a, **k: attack(*a, **k, prior=Prior(SHAPE, latent=4, hidden=20))  # noqa: E731
    made = stages.attack_all(call, target, name=name, seed=0, monitor=Monitor())
    return {"reconstruction": made}


STAGES = {
    "reference-scores": reference_scores,
    "frames": frames,
    "train": train,
    "reinitialise": made_again,
    "prior": prior,
    "judge": judge_weights,
    "score": score,
    "protocol": protocol,
    "spikes": spikes,
}


def summary(values):
    """A few numbers that change when any of many do."""
    flat = np.asarray(values, np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    places = np.linspace(0, len(flat) - 1, 7).astype(int)
    weights = np.cos(np.arange(len(flat)))
    found = [flat.mean(), flat.std(), float(flat @ weights) / len(flat), *flat[places]]
    return [float(f"{value:.6g}") for value in found]


@pytest.mark.parametrize("stage", ALL)
def test_results_change_with_the_version_alone(stage):
    torch.set_num_threads(1)
    if stage in DEFENCES:
        made, version = defended(stage), DEFENCES[stage].version
    else:
        made = STAGES[stage]() if stage in STAGES else attacked(stage)
        version = VERSIONS.get(stage) or of_attack(SMALL[stage])[stage]
    values = {name: summary(value) for name, value in made.items()}
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if "BRAINLEAKS_RECORD" in os.environ:
        golden[stage] = {"version": version, "values": values}
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    assert golden[stage]["version"] == version, "record the values of the new version"
    expected = golden[stage]["values"]
    assert values.keys() == expected.keys()
    for name, found in values.items():
        np.testing.assert_allclose(
            found, expected[name], rtol=1e-3, atol=1e-5,
            err_msg=f"{stage}: {name} changed; raise the version of this stage"
        )  # fmt: skip


def test_every_attack_has_a_version_of_its_own():
    assert SMALL.keys() == {*ATTACKS, "within-prior"}
    within = of_attack(SMALL["within-prior"])
    assert within.keys() == {"within-prior", "score-evolution"}
    assert of_attack(SMALL["user-inference"]).keys() == {"user-inference", "calibrated-loss"}


def test_a_key_does_not_hold_how_the_code_is_written(monkeypatch):
    """Neither names of modules nor their text nor the release; versions alone do."""
    from brainleaks.pipeline.keys import environment

    found = environment("cpu", {"train": 1})
    assert set(found) == {"versions", "torch", "numba", "device", "threads"}
    assert "brainleaks" not in json.dumps(found)
    assert digest(found) != digest(environment("cpu", {"train": 2}))
