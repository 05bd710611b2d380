"""Recovered batches: the private samples of a training step, from its gradient.

An attack of this kind is called with ``(target, step)``, the step being a
:class:`~brainleaks.attacks.gradients.step.TrainingStep`, and returns a
:class:`~brainleaks.attacks.gradients.step.Recovered`.
"""

import copy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from brainleaks.attacks import Attack
from brainleaks.attacks.gradients.feature_inversion import hidden_spikes_of
from brainleaks.attacks.gradients.pictures import pictures
from brainleaks.attacks.gradients.step import Recovered, TrainingStep
from brainleaks.data.dataset import Samples
from brainleaks.data.encoding import RateCode
from brainleaks.data.parts import images
from brainleaks.evaluation.batches import (
    Batch,
    assigned,
    claim,
    compare,
    hidden_vectors,
    measured,
    over_batches,
)
from brainleaks.networks import respond
from brainleaks.networks.weights import first_weights
from brainleaks.pipeline.evidence.kind import Case, Evidence, Kind
from brainleaks.randomness import stream
from brainleaks.studies.config import TrainingSteps
from brainleaks.training import summed_cross_entropy

NAME = "recovered-batch"
CONTROLS = ("other-batch", "shuffled-gradient")
#: Batches whose samples the report shows.
_SHOWN = 1


def gather(case: Case) -> Evidence:
    """Attack the gradient of every batch, and compare what comes of it with the batch."""
    return _Gathering(case).run()


KIND = Kind(name=NAME, controls=CONTROLS, levels=(4,), gather=gather)


@dataclass
class _Gathering:
    case: Case

    def run(self) -> Evidence:
        attempt, found = self.case.pipeline.failures.attempt, {}
        files: dict[str, dict[str, Tensor]] = {}
        for name, attack in self.case.attacks.items():
            facts = attempt("attack", name, partial(self._attacked, name, attack, files))
            if facts is not None:
                found[name] = facts
        facts = {
            "batch_size": self._size,
            "batches": self.settings.batches,
            "time_steps": self._private(0)[1].shape[0] if self._spiking else 1,
            "neurons": self._neurons,
            "known": len(self._known),
            "accuracy": self.case.target.facts.get("test_accuracy"),
            "limit": measured([self._limit(i) for i in self._batches]),
            "attacks": found,
        }
        claims = [claim(found, self._size, self.settings.batches)]
        return Evidence(facts, claims, tensors=files)

    @cached_property
    def settings(self) -> TrainingSteps:
        return self.case.pipeline.study.training_steps or TrainingSteps()

    @property
    def _batches(self) -> range:
        return range(self.settings.batches)

    @property
    def _samples(self) -> Samples:
        return self.case.pipeline.dataset.train

    @property
    def _size(self) -> int:
        return min(self.settings.batch_size, len(self._samples.labels))

    @property
    def _spiking(self) -> bool:
        return self.case.pipeline.study.spiking

    @property
    def _neurons(self) -> int:
        """Of the first layer, if that is fully connected to the inputs; else 0."""
        shape = self.case.pipeline.dataset.input_shape
        weights = first_weights(self.case.target.network, shape)
        return 0 if weights is None else len(weights)

    @property
    def _coded(self) -> bool:
        return isinstance(self.case.pipeline.study.encoding, RateCode)

    @cached_property
    def _known(self) -> Tensor:
        """Pictures of the training set, among which samples are re-identified."""
        return images(self._samples)

    def _attacked(
        self, name: str, attack: Attack, files: dict[str, dict[str, Tensor]]
    ) -> dict[str, Any]:
        """All batches, and the controls."""
        own, other, seconds, ranks, hidden = [], [], [], [], []
        for i in self._batches:
            recovered, took = self._recovered(name, attack, i)
            batch = self._as_batch(recovered)
            own.append(self._compared(batch, i))
            other.append(self._compared(batch, (i + 1) % self.settings.batches))
            seconds.append(took)
            ranks.append(int(recovered.rank))
            if recovered.hidden is not None:
                hidden.append(hidden_vectors(self._hidden(i), recovered.hidden))
            if i < _SHOWN:
                files[f"recovered-{name}"] = self._shown(batch, i)
        invented, _ = self._recovered(name, attack, 0, shuffled=True)
        return {
            "measures": measured(own),
            "hidden": over_batches(torch.stack(hidden).numpy()) if hidden else None,
            "controls": {
                "other-batch": measured(other),
                "shuffled-gradient": {"vectors": int(invented.exact.sum()) + len(invented.loose)},
            },
            "whole_batches": sum(bool((b["vectors"] == 1).all()) for b in own),
            "seconds": seconds,
            "ranks": ranks,
        }

    def _private(self, i: int) -> tuple[Tensor, Tensor, Tensor]:
        """A batch: places in the training set, inputs as the network takes them, labels."""
        pipeline = self.case.pipeline
        order = torch.randperm(
            len(self._samples.labels), generator=stream(pipeline.seed, "training step", i)
        )
        places = order[: self._size]
        noise = stream(pipeline.seed, "training step", i, "encoding", device=pipeline.device)
        inputs = pipeline.encode(self._samples.inputs[places].to(pipeline.device), noise)
        return places, inputs, self._samples.labels[places]

    def _recovered(
        self, name: str, attack: Attack, i: int, *, shuffled: bool = False
    ) -> tuple[Recovered, float]:
        """What an attack makes of a batch's gradient, and how long it took."""
        pipeline = self.case.pipeline
        asked = {
            "data": pipeline.dataset.fingerprint,
            "seed": pipeline.seed,
            "batch": i,
            "settings": self.settings.model_dump(mode="json"),
            "shuffled": shuffled,
        }
        called = f"{name} batch {i}" + (" shuffled" if shuffled else "")
        _, inputs, labels = self._private(i)
        step = self._step(inputs, labels, shuffled=shuffled)
        artefact, _ = pipeline.ask(called, attack, self.case.target, (step,), asked)
        found = {key: value.cpu() for key, value in artefact.tensors.items()}
        return Recovered(**found), artefact.facts["seconds"]

    def _step(self, inputs: Tensor, labels: Tensor, *, shuffled: bool) -> TrainingStep:
        """The gradient of a batch; in the control each weight's is that of another weight."""
        network = copy.deepcopy(self.case.target.network).train().requires_grad_(requires_grad=True)
        network.zero_grad()
        summed_cross_entropy(respond(network, inputs), labels.to(inputs.device)).backward()
        gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
        if shuffled:
            noise = stream(self.case.pipeline.seed, "shuffled gradient")
            gradients = {n: _permuted(g, noise) for n, g in gradients.items()}
        told = self.settings.batch_size_known
        steps = len(inputs) if self._spiking else 1
        return TrainingStep(gradients, *((self._size, steps) if told else ()))

    def _hidden(self, i: int) -> Tensor:
        """The private spikes before the last layer."""
        network = copy.deepcopy(self.case.target.network).train()
        return hidden_spikes_of(network, self._private(i)[1]).cpu()

    def _as_batch(self, recovered: Recovered) -> Batch:
        spiking = recovered.exact.any(1).sum() if recovered.inputs.ndim == 5 else 0
        placed = recovered.inputs.flatten(0, 1) if spiking else recovered.loose[:0]
        return Batch(
            inputs=recovered.inputs,
            labels=recovered.labels,
            pictures=pictures(recovered.inputs, coded=self._coded),
            vectors=torch.cat([placed.bool(), recovered.loose.bool()]),
        )

    def _compared(self, recovered: Batch, i: int) -> dict[str, Tensor]:
        places, inputs, labels = self._private(i)
        private = Batch(inputs.cpu(), labels, self._known[places], inputs[:0].flatten(0, 1))
        return compare(private, recovered, self._known, places)

    def _limit(self, i: int) -> dict[str, Tensor]:
        """The same of the private inputs themselves: what recovering all of them gives."""
        _, inputs, labels = self._private(i)
        inputs = inputs.cpu()
        shown = pictures(inputs, coded=self._coded)
        vectors = inputs.flatten(0, 1).bool() if self._spiking else inputs[:0]
        return self._compared(Batch(inputs, labels, shown, vectors), i)

    def _shown(self, recovered: Batch, i: int) -> dict[str, Tensor]:
        """Pictures of a batch's private samples, and then of what was recovered of each."""
        places, _, _ = self._private(i)
        private = self._known[places]
        return {"images": torch.cat([private, assigned(private, recovered.pictures)])}


def _permuted(values: Tensor, noise: torch.Generator) -> Tensor:
    order = torch.randperm(values.numel(), generator=noise).to(values.device)
    return values.flatten()[order].view_as(values)
