"""An audit within a time: what each part costs is measured, and what does not fit is left out."""

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from brainleaks.attacks import ATTACKS, Attack
from brainleaks.data.parts import parts
from brainleaks.evaluation.panel import (
    KINDS,
    TAKES,
    batch_size,
    encoding,
    new_judge,
    with_network_on,
)
from brainleaks.networks import respond
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.randomness import stream
from brainleaks.studies import Study
from brainleaks.studies.reading import parse_study
from brainleaks.training import Recipe, summed_cross_entropy

#: Attacks that find most, of those that cost least; the others are left out first.
_CORE = ("smooth-inversion", "pattern-inversion", "score-evolution", "boundary-repulsion")
#: Below these, an audit can decide nothing.
_FEWEST_JUDGE_STEPS, _FEWEST_ITERATIONS = 150, 5
#: Samples from which on judges are trained on the largest batches.
_ENOUGH = 2500
_CONTROLS = 3  # untrained, shuffled labels, and two halves of the classes

Content = dict[str, Any]


@dataclass(frozen=True)
class Costs:
    """Seconds: of a training step of the target, of an evaluator, of all judges, and by attack.

    ``attacks`` holds what one run takes before its iterations, and each iteration; ``samples`` is
    the size of the training part.
    """

    samples: int
    target_step: float
    evaluator_step: float
    judges_step: float
    attacks: dict[str, tuple[float, float]]

    def of(self, study: Study) -> dict[str, float]:
        """What a study takes: ``training``, ``attacks`` and ``judges``, in seconds."""
        controls = study.judging is not None
        trained = _CONTROLS if controls else 0
        kinds = {attack.kind for attack in study.attacks.values()}
        if study.membership is not None and "membership" in kinds:
            trained += study.membership.shadows + 1
        training = trained * self.target_step * self._steps(study.target.training)
        for model in study.evaluators.values():
            training += self.evaluator_step * self._steps(model.training)
        found = {"training": training, "attacks": 0.0, "judges": 0.0}
        for name, attack in study.attacks.items():
            before, each = self.attacks.get(name, (0.0, 0.0))
            runs = 1.0
            if study.judging is not None and attack.kind == "class-reconstruction":
                runs = (study.judging.reconstructions if attack.random else 1) + _CONTROLS
            found["attacks"] += runs * (before + each * getattr(attack, "iterations", 1))
        if study.judging is not None:
            found["judges"] = study.judging.judge_steps * self.judges_step
        return found

    def _steps(self, recipe: Recipe) -> int:
        return recipe.epochs * math.ceil(self.samples / recipe.batch_size)


@dataclass(frozen=True)
class Fitted:
    """A study that fits, what it is estimated to take, and sentences on what was left out."""

    study: Study
    seconds: dict[str, float]
    said: tuple[str, ...]


def fit(study: Study, costs: Costs, budget: float) -> Fitted:
    """Leave out of a study what does not fit.

    In this order: repeated reconstructions, the attacks that find least for what they cost, half of
    the training, half of the iterations, and membership; then all but one attack, and again half.

    Args:
        study: of an audit.
        costs: of its parts.
        budget: seconds.
    """
    content, said = study.model_dump(mode="json"), list[str]()
    for cut in _cuts(study, costs):
        if sum(costs.of(study).values()) <= budget:
            break
        if (sentence := cut(content)) is not None:
            said.append(sentence)
            study = parse_study("--budget", content)
    seconds = costs.of(study)
    total = sum(seconds.values())
    parts = ", ".join(f"{name} {shown(value)}" for name, value in seconds.items())
    lines = [f"Estimated time: {shown(total)} ({parts})."]
    if said:
        lines.append(f"Left out to fit {shown(budget)}: {'; '.join(said)}.")
    if total > budget:
        lines.append("Even so the audit is estimated to take longer: it cannot do with less.")
    content["description"] = " ".join([study.description, *lines[1:]]).strip()
    return Fitted(parse_study("--budget", content), seconds, tuple(lines))


def shown(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _cuts(study: Study, costs: Costs) -> Iterator[Callable[[Content], str | None]]:
    """What can be left out, in order."""
    yield _one_reconstruction
    made = [n for n, a in study.attacks.items() if a.kind == "class-reconstruction"]
    by_cost = sorted(made, key=lambda n: -costs.attacks.get(n, (0.0, 0.0))[1])
    kept = [n for n in made if study.attacks[n].attack in _CORE] or by_cost[-1:]
    for name in by_cost:
        if name not in kept:
            yield _without(name)
    yield _half_training
    yield _half_iterations
    yield _without_membership
    for name in by_cost:
        if name in kept[1:]:
            yield _without(name)
    for _ in range(2):
        yield _half_training
        yield _half_iterations
    yield _half_iterations


def _one_reconstruction(content: Content) -> str | None:
    judging = content["judging"]
    if judging is None or judging["reconstructions"] == 1:
        return None
    judging["reconstructions"] = 1
    return "all but one reconstruction of each class"


def _without(name: str) -> Callable[[Content], str | None]:
    def cut(content: Content) -> str | None:
        del content["attacks"][name]
        return f"the attack {name}"

    return cut


def _half_training(content: Content) -> str | None:
    judging = content["judging"]
    if judging is None or judging["judge_steps"] <= _FEWEST_JUDGE_STEPS:
        return None
    judging["judge_steps"] = max(_FEWEST_JUDGE_STEPS, judging["judge_steps"] // 2)
    for model in [content["target"], *content["evaluators"].values()]:
        model["training"]["epochs"] = math.ceil(model["training"]["epochs"] / 2)
    return f"half of the training of judges and controls ({judging['judge_steps']} steps are left)"


def _half_iterations(content: Content) -> str | None:
    halved = []
    for name, attack in content["attacks"].items():
        kind, count = ATTACKS[attack["attack"]].kind, attack.get("iterations", 0)
        if kind == "class-reconstruction" and count > _FEWEST_ITERATIONS:
            attack["iterations"] = max(_FEWEST_ITERATIONS, count // 2)
            halved.append(f"{name} ({attack['iterations']} are left)")
    return f"half of the iterations of {', '.join(halved)}" if halved else None


def _without_membership(content: Content) -> str | None:
    named = {n: ATTACKS[a["attack"]].kind for n, a in content["attacks"].items()}
    dropped = [name for name, kind in named.items() if kind == "membership"]
    if not dropped or len(dropped) == len(named):
        return None
    for name in dropped:
        del content["attacks"][name]
    content.pop("membership", None)
    return "membership"


def measure(pipeline: Pipeline, target: Trained) -> Costs:
    """Time a few steps of each part; no result of them is kept."""
    study, device = pipeline.study, pipeline.device
    some = torch.arange(min(study.target.training.batch_size, len(pipeline.dataset.train.labels)))
    noise = stream(0, "budget", device=device)
    inputs = pipeline.encode(pipeline.dataset.train.inputs[some].to(device), noise)
    labels = pipeline.dataset.train.labels[some].to(device)
    steps = []
    for network in (target.network, *_evaluators(pipeline)):
        trained = copy.deepcopy(network).train().requires_grad_(requires_grad=True)
        steps.append(_seconds(partial(_step, trained, inputs, labels)))
    judges = sum(_judge_steps(pipeline))
    view = {name: _timed(pipeline, a, target) for name, a in study.attacks.items()}
    attacks = {name: found for name, found in view.items() if found is not None}
    samples = len(pipeline.dataset.train.labels)
    return Costs(samples, steps[0], max(steps[1:], default=0.0), judges, attacks)


def _evaluators(pipeline: Pipeline) -> Iterator[nn.Module]:
    shape, classes = pipeline.dataset.input_shape, len(pipeline.dataset.class_names)
    for model in pipeline.study.evaluators.values():
        yield pipeline.study.build(model.network, shape, classes).to(pipeline.device)


def _judge_steps(pipeline: Pipeline) -> Iterator[float]:
    """What a step of each judge takes that is trained."""
    dataset = pipeline.dataset
    learn = parts(dataset).learn.first(_ENOUGH)
    for name in (n for n in KINDS if dataset.signal in TAKES[n]):
        try:
            judge = with_network_on(new_judge(name, learn, dataset, seed=0), str(pipeline.device))
        except ValueError:  # too small to be pooled twice
            continue
        if judge.network is None:
            continue
        some = torch.arange(min(batch_size(judge), len(learn.labels)))
        noise = stream(0, "budget", device=pipeline.device)
        inputs = encoding(judge)(judge.reference.inputs[some].to(pipeline.device), noise)
        labels = judge.reference.labels[some].to(pipeline.device)
        yield _seconds(partial(_step, judge.network, inputs, labels))


def _timed(pipeline: Pipeline, attack: Attack, target: Trained) -> tuple[float, float] | None:
    """What a run of an attack takes before its iterations, and each of them."""
    if attack.kind != "class-reconstruction":
        return None
    labels = torch.arange(len(pipeline.dataset.class_names))
    view = pipeline.view(target, attack.access)

    def run(iterations: int) -> float:
        counted = hasattr(attack, "iterations")
        few: Any = dataclasses.replace(attack, iterations=iterations) if counted else attack
        return _seconds(lambda: few(view, labels, generator=stream(0, "budget")), warm=False)

    try:
        run(1)  # compiles
        first, second = run(1), run(3)
    except Exception:  # it will fail in the audit, which says why
        return None
    each = max(1e-4, (second - first) / 2)
    return max(0.0, first - each), each


def _step(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> None:
    network.zero_grad()
    loss = summed_cross_entropy(respond(network, inputs), labels)
    if loss.requires_grad:
        loss.backward()


def _seconds(job: Callable[[], object], *, warm: bool = True) -> float:
    if warm:
        job()
    start = time.perf_counter()
    job()
    return time.perf_counter() - start
