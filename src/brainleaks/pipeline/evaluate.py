"""Evaluate class reconstructions beyond the protocol's metrics: panel, likeness, controls."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from brainleaks.attacks import Attack
from brainleaks.data import Dataset
from brainleaks.data.encoding import bernoulli
from brainleaks.data.parts import Parts, images, parts
from brainleaks.evaluation.class_content import bar, claims, undecided
from brainleaks.evaluation.controls import Control, class_means, nearest_known, noise
from brainleaks.evaluation.judge import confidences, scale_each
from brainleaks.evaluation.levels import Claim
from brainleaks.evaluation.metrics import metrics
from brainleaks.evaluation.panel import KINDS, TAKES, References, as_rates, references
from brainleaks.evaluation.statistics import FEWEST
from brainleaks.evaluation.summary import (
    Clusters,
    Finding,
    Scores,
    clusters,
    controls_table,
    likeness,
    statistics,
)
from brainleaks.networks.weights import refuse_the_target
from brainleaks.pipeline.cache import Artefact
from brainleaks.pipeline.controls import OwnTargets, Targets
from brainleaks.pipeline.pipeline import PanelJudge, Pipeline, Reconstruction, Trained
from brainleaks.randomness import stream
from brainleaks.studies.testing import Judging


@dataclass
class Evaluation:
    """What the evaluation found: JSON under each key, claims, and pictures to show beside it.

    ``remarks`` are what a reader of the claims should know besides. ``pictures`` has, for each
    attack, ``ATTACK.nearest``: the training sample of each class that its reconstruction resembles
    most, and ``ATTACK.control``: what its strongest negative control made; images
    ``(C, channels, H, W)`` in [0, 1].
    """

    facts: dict[str, Any]
    claims: list[Claim]
    remarks: list[str]
    pictures: dict[str, Tensor]


def evaluate(
    pipeline: Pipeline,
    judging: Judging,
    target: Trained,
    reconstructions: list[Reconstruction],
    targets: Targets | None = None,
) -> Evaluation:
    """Judge a run's reconstructions by the panel, beside their controls.

    ``targets`` makes what the controls attack; by default, as the study makes its own target.
    """
    targets = targets or OwnTargets(pipeline)
    return _Evaluating(pipeline, judging, target, reconstructions, targets).run()


def not_evaluated() -> Evaluation:
    """The evaluation of a run that is judged by the protocol's evaluators alone."""
    facts = {"judges": [], "likeness": {}, "controls": [], "statistics": statistics([])}
    why = "The panel was left out (judging: null); only the study's evaluators judged."
    return Evaluation(facts, undecided([why]), [], {})


class _Evaluating:
    """The data of one evaluation, and its steps in order."""

    def __init__(
        self,
        pipeline: Pipeline,
        judging: Judging,
        target: Trained,
        reconstructions: list[Reconstruction],
        targets: Targets,
    ) -> None:
        self.pipeline, self.judging, self.targets = pipeline, judging, targets
        self.target, self.reconstructions = target, reconstructions
        self.dataset: Dataset = pipeline.dataset
        self.classes = len(self.dataset.class_names)
        self.parts: Parts = parts(self.dataset)
        self.panel: list[PanelJudge] = []

    def run(self) -> Evaluation:
        steps = self.judging.judge_steps
        attempt = self.pipeline.failures.attempt
        for name in (n for n in KINDS if self.dataset.signal in TAKES[n]):
            train = partial(self.pipeline.judge, name, self.parts, steps)
            if (judge := attempt("judge", name, train)) is not None:
                self.panel.append(judge)
        possible = [c for c in self.judging.controls if c not in self.targets.missing]
        self._refuse_the_target()
        found: list[Finding] = []
        pictures: dict[str, Tensor] = {}
        if self.dataset.sound:
            pictures["class-mean"] = class_means(self.parts.held_out, self.classes, None)
        for item in self.reconstructions:
            scores = attempt("evaluation", item.name, partial(self._score_attack, item))
            if scores is None:
                continue
            controls: dict[Control, Clusters] = {}
            for control in possible:
                call = partial(self._score_control, control, item)
                if (scored := attempt("control", f"{item.name} {control}", call)) is not None:
                    controls[control] = scored
            finding = Finding(item.name, scores, self._clusters(scores), controls)
            found.append(finding)
            if (strongest := finding.strongest) is not None:
                pictures |= self._pictures(item, scores, strongest)
        views = {item.name: self._target_view(item) for item in self.reconstructions}
        facts = {
            "judges": self._judges(),
            "likeness": {f.attack: {**likeness(f), "target": views[f.attack]} for f in found},
            "controls": controls_table(found),
            "statistics": statistics(found),
        }
        remarks = [*self._failed, *self._impossible(), *self._few(), *self.targets.remarks]
        return Evaluation(facts, self._claims(found, possible), remarks, pictures)

    def _claims(self, found: list[Finding], possible: list[Control]) -> list[Claim]:
        """From what there is; what failed can hide a leak, and never shows that there is none."""
        whole = [finding for finding in found if finding.controls.keys() >= set(possible)]
        claimed = claims(
            {finding.attack: finding.clusters for finding in whole or found},
            {finding.attack: finding.controls for finding in whole or found},
            sound_judges=len(self._sound),
            classes=self.classes,
        )
        if not self._failed:
            return claimed
        for claim in claimed:
            if claim["shown"] is False:
                claim["shown"] = None
                claim["sentence"] = "Part of the run failed; the rest does not show it."
        return claimed

    @property
    def _failed(self) -> list[str]:
        failed = [f"{e['part']} {e['name']}" for e in self.pipeline.failures.entries]
        return [f"Failed: {', '.join(failed)}."] if failed else []

    def _impossible(self) -> list[str]:
        """Why controls that were asked for could not be made."""
        missing = self.targets.missing
        reasons = dict.fromkeys(missing[c] for c in self.judging.controls if c in missing)
        return [f"{reason[:1].upper()}{reason[1:]}." for reason in reasons]

    def _few(self) -> list[str]:
        """How far intervals reach, where they are not over classes."""
        if self.classes >= FEWEST:
            return []
        return [
            f"There are {self.classes} classes, so that intervals are over reconstructions: what "
            "they show holds for these classes and this network."
        ]

    def _refuse_the_target(self) -> None:
        """A target whose weights come from a file may be one of the judges."""
        judges = [item.judge for item in self.panel]
        networks = {f"the panel's {j.name}": j.network for j in judges if j.network is not None}
        refuse_the_target(self.target.network, networks)

    def _score_attack(self, item: Reconstruction) -> Scores:
        attack = self.pipeline.study.attacks[item.name]
        repeats, _ = self.judging.repeats(attack, self.classes)
        each = [self._score(item.name, {"attack": item.key}, lambda: item.values)]
        for i in range(1, repeats):
            again, key = self.pipeline.invert(f"{item.name}{_again(i)}", attack, self.target)
            each.append(self._score(item.name, {"attack": key}, _made(again)))
        return _joined(each)

    def _score_control(self, control: Control, item: Reconstruction) -> Clusters:
        _, repeats = self.judging.repeats(self.pipeline.study.attacks[item.name], self.classes)
        each = []
        for i in range(1 if control == "class-mean" else repeats):
            values, key = self._control(control, item, i)
            made_of = {"control": control, **key}
            each.append(self._score(f"{item.name} {control}{_again(i)}", made_of, values))
        return self._clusters(_joined(each))

    def _control(
        self, control: Control, item: Reconstruction, i: int
    ) -> tuple[Callable[[], Tensor], dict[str, Any]]:
        """One control's reconstructions, for the ``i``-th time, and what determines them."""
        spiking, seed = self.pipeline.study.spiking, self.pipeline.seed
        if control == "noise":
            of = {"of": item.key} | ({"time": i} if i else {})
            return lambda: noise(item.values, spiking=spiking, seed=seed + i), of
        if control == "class-mean":
            steps = len(item.values) if spiking else None
            key = {"steps": steps, "data": self.dataset.fingerprint}
            return lambda: class_means(self.parts.held_out, self.classes, steps), key
        attack = self.pipeline.study.attacks[item.name]
        if control == "without-class":
            return self._without_class(f"{item.name} without-class{_again(i)}", attack)
        target = self.targets.untrained() if control == "untrained" else self.targets.shuffled()
        made, key = self.pipeline.invert(f"{item.name} {control}{_again(i)}", attack, target)
        return _made(made), {"attack": key}

    def _without_class(
        self, name: str, attack: Attack
    ) -> tuple[Callable[[], Tensor], dict[str, Any]]:
        """Two targets, each trained on every second class and asked for the others."""
        made, keys = [], []
        places: dict[int, tuple[int, int]] = {}
        means = class_means(self.parts.members, self.classes, None)
        for fold in range(2):
            known = list(range(fold, self.classes, 2))
            unknown = list(range(1 - fold, self.classes, 2))
            target = self.targets.half(fold, known)
            asked = f"{name}-{fold + 1}"
            inverted, key = self.pipeline.invert(asked, attack, target, len(known))
            made.append(inverted.tensors["reconstruction"].cpu())
            keys.append(key)
            nearest = nearest_known(means, known, unknown)
            places |= {c: (fold, place) for c, place in zip(unknown, nearest, strict=True)}
        axis = 1 if self.pipeline.study.spiking else 0

        def values() -> Tensor:
            found = [places[c] for c in range(self.classes)]
            return torch.stack([made[fold].select(axis, place) for fold, place in found], axis)

        return values, {"attacks": keys, "data": self.dataset.fingerprint}

    def _score(self, name: str, key: dict[str, Any], values: Callable[[], Tensor]) -> Scores:
        def made() -> tuple[Tensor, Tensor]:
            return values().cpu(), torch.arange(self.classes)

        return self.pipeline.score(name, key, made, self.panel, lambda: self._references)

    @cached_property
    def _references(self) -> References:
        judges = [item.judge for item in self.panel]
        return references(judges, self.parts.members, self.parts.held_out)

    def _clusters(self, scores: Scores) -> Clusters:
        return clusters(scores, self._sound, self.classes)

    @property
    def _sound(self) -> list[str]:
        """The judges that recognise real data well enough to count."""
        least = bar(self.classes)
        return [p.judge.name for p in self.panel if p.facts["test_accuracy"] >= least]

    def _judges(self) -> list[dict[str, Any]]:
        learned = "held-out data" if self.parts.disjoint else "the target's training data"
        return [
            {
                "name": item.judge.name,
                "kind": KINDS[item.judge.name],
                "learned_from": learned,
                "samples": len(self.parts.learn.labels),
                "test_accuracy": item.facts["test_accuracy"],
                "counts": item.judge.name in self._sound,
                "seconds": item.facts["seconds"],
            }
            for item in self.panel
        ]

    def _target_view(self, item: Reconstruction) -> dict[str, float]:
        """What the attacked network itself says; it is no judge."""
        spikes = item.values
        if self.pipeline.study.spiking:
            spikes = bernoulli(spikes, stream(self.pipeline.seed, "own view", device=spikes.device))
        found = metrics(confidences(copy.deepcopy(self.target.network), spikes))
        return {key: found[key] for key in ("attack_accuracy", "confidence")}

    def _pictures(
        self, item: Reconstruction, scores: Scores, strongest: Control
    ) -> dict[str, Tensor]:
        nearest = scores["nearest"][: self.classes].long()
        values, _ = self._control(strongest, item, 0)
        return {
            f"{item.name}.nearest": scale_each(images(self.parts.members)[nearest]),
            f"{item.name}.control": scale_each(as_rates(values())).cpu(),
        }


def _again(i: int) -> str:
    """What is added to a name the second time and later; it names another random stream."""
    return f"#{i + 1}" if i else ""


def _joined(each: list[Scores]) -> Scores:
    return {name: torch.cat([scores[name] for scores in each]) for name in each[0]}


def _made(artefact: Artefact) -> Callable[[], Tensor]:
    return lambda: artefact.tensors["reconstruction"]
