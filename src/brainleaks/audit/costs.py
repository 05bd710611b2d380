"""What the parts of an audit cost, measured on a few steps of each."""

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from brainleaks.attacks import Attack
from brainleaks.attacks.membership.knowledge import Candidates, References
from brainleaks.data.parts import parts
from brainleaks.evaluation.panel import (
    KINDS,
    TAKES,
    Judge,
    batch_size,
    encoding,
    new_judge,
    references,
    scores,
    with_network_on,
)
from brainleaks.networks import respond
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.randomness import stream
from brainleaks.studies import Study
from brainleaks.studies.testing import Membership
from brainleaks.training import Recipe, summed_cross_entropy

#: Samples from which on judges are trained on the largest batches.
_ENOUGH = 2500
_CONTROLS = 3  # untrained, shuffled labels, and two halves of the classes
#: Samples that membership attacks are timed on.
_FEW = 50


@dataclass(frozen=True)
class Costs:
    """Seconds: of a training step of the target, of an evaluator, of all judges, and by attack.

    ``attacks`` holds what one run takes before its iterations, and each iteration, and ``queries``
    what a membership attack takes for each sample; ``answer`` is what a network takes to answer
    about one, and ``score`` what judges and likeness take for a reconstruction. ``samples`` is the
    size of the training part, ``tested`` of the test part.
    """

    samples: int
    tested: int
    classes: int
    target_step: float
    evaluator_step: float
    judges_step: float
    attacks: dict[str, tuple[float, float]]
    answer: float = 0.0
    score: float = 0.0
    queries: dict[str, float] = field(default_factory=dict)

    def of(self, study: Study) -> dict[str, float]:
        """What a study takes, in seconds, by part."""
        controls = study.judging is not None
        trained = _CONTROLS if controls else 0
        if study.membership is not None and self._asked(study):
            trained += study.membership.shadows + 1
        training = trained * self.target_step * self._steps(study.target.training)
        for model in study.evaluators.values():
            training += self.evaluator_step * self._steps(model.training)
        found = {"training": training, "attacks": self._attacks(study), "judges": 0.0}
        if study.judging is not None:
            found["judges"] = study.judging.judge_steps * self.judges_step
            found["scores"] = self._runs(study, lambda _: self.classes * self.score)
        if asked := self._asked(study):
            found["membership"] = self._membership(study.membership or Membership(), asked)
        return found

    def _attacks(self, study: Study) -> float:
        """All reconstructions, and those of the controls."""

        def once(name: str) -> float:
            before, each = self.attacks.get(name, (0.0, 0.0))
            return before + each * getattr(study.attacks[name], "iterations", 1)

        return self._runs(study, once)

    def _runs(self, study: Study, once: Callable[[str], float]) -> float:
        """The sum over all runs of attacks that reconstruct classes, controls included."""
        total = 0.0
        for name, attack in study.attacks.items():
            if attack.kind != "class-reconstruction":
                continue
            own, control = 1, 0
            if study.judging is not None:
                own, control = study.judging.repeats(attack, self.classes)
            total += (own + _CONTROLS * control) * once(name)
        return total

    def _asked(self, study: Study) -> list[str]:
        return [name for name, attack in study.attacks.items() if attack.kind == "membership"]

    def _membership(self, settings: Membership, attacks: list[str]) -> float:
        """The answers of all networks, and what attacks ask besides, of two targets."""
        each = min(settings.samples, self.samples) + min(2 * settings.samples, self.tested)
        answers = (settings.shadows + 2) * settings.draws * self.answer
        return each * (answers + 2 * sum(self.queries.get(name, 0.0) for name in attacks))

    def _steps(self, recipe: Recipe) -> int:
        return recipe.epochs * math.ceil(self.samples / recipe.batch_size)


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
    judges = list(_judges(pipeline))
    view = {name: _timed(pipeline, a, target) for name, a in study.attacks.items()}
    attacks = {name: found for name, found in view.items() if found is not None}
    asked = {name: _queried(pipeline, a, target) for name, a in study.attacks.items()}
    train, test = (len(part.labels) for part in (pipeline.dataset.train, pipeline.dataset.test))
    return Costs(
        samples=train,
        tested=test,
        classes=len(pipeline.dataset.class_names),
        target_step=steps[0],
        evaluator_step=max(steps[1:], default=0.0),
        judges_step=sum(_judge_steps(pipeline, judges)),
        attacks=attacks,
        answer=_answer(target.network, inputs),
        score=_score(pipeline, judges),
        queries={name: found for name, found in asked.items() if found is not None},
    )


@torch.no_grad()
def _answer(network: nn.Module, inputs: torch.Tensor) -> float:
    """What a network takes for each sample ``(..., B, channels, H, W)``."""
    return _seconds(lambda: respond(network, inputs)) / inputs.shape[-4]


def _queried(pipeline: Pipeline, attack: Attack, target: Trained) -> float | None:
    """What a membership attack without reference networks takes for each sample."""
    if attack.kind != "membership" or getattr(attack, "shadows", False):
        return None
    samples = pipeline.dataset.train.first(_FEW)
    count, classes = len(samples.labels), len(pipeline.dataset.class_names)
    nothing = torch.zeros(0, count, classes), torch.zeros(0, count, dtype=torch.bool)
    alone = References(*nothing, torch.arange(count) % 2 == 0)
    view, membership = pipeline.view(target, attack.access), pipeline.study.membership
    draws = (membership or Membership()).draws if pipeline.study.encoding is not None else 1
    call: Any = partial(attack, view, Candidates(samples, pipeline.encode, draws), alone)
    try:
        return _seconds(lambda: call(generator=stream(0, "budget"))) / count
    except Exception:  # it will fail in the audit, which says why
        return None


def _evaluators(pipeline: Pipeline) -> Iterator[nn.Module]:
    shape, classes = pipeline.dataset.input_shape, len(pipeline.dataset.class_names)
    for model in pipeline.study.evaluators.values():
        yield pipeline.study.build(model.network, shape, classes).to(pipeline.device)


def _judges(pipeline: Pipeline) -> Iterator[Judge]:
    """The panel, not trained."""
    dataset = pipeline.dataset
    learn = parts(dataset).learn.first(_ENOUGH)
    for name in (n for n in KINDS if dataset.signal in TAKES[n]):
        with contextlib.suppress(ValueError):  # too small to be pooled twice
            yield with_network_on(new_judge(name, learn, dataset, seed=0), str(pipeline.device))


def _judge_steps(pipeline: Pipeline, judges: list[Judge]) -> Iterator[float]:
    """What a step of each judge takes that is trained."""
    for judge in judges:
        if judge.network is None:
            continue
        some = torch.arange(min(batch_size(judge), len(judge.reference.labels)))
        noise = stream(0, "budget", device=pipeline.device)
        inputs = encoding(judge)(judge.reference.inputs[some].to(pipeline.device), noise)
        labels = judge.reference.labels[some].to(pipeline.device)
        yield _seconds(partial(_step, judge.network, inputs, labels))


def _score(pipeline: Pipeline, judges: list[Judge]) -> float:
    """What judges and likeness take for each reconstruction."""
    dataset, classes = pipeline.dataset, len(pipeline.dataset.class_names)
    here = [with_network_on(judge, "cpu") for judge in judges]
    values = torch.rand(classes, *dataset.input_shape, generator=stream(0, "budget"))
    labels, real = torch.arange(classes), references(here, dataset.train, dataset.test)
    return _seconds(lambda: scores(here, values, labels, real, seed=0)) / classes


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
