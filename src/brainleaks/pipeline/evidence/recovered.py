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
from brainleaks.attacks.gradients.step import Recovered
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
from brainleaks.networks.weights import first_weights
from brainleaks.pipeline.evidence.kind import Case, Evidence, Kind
from brainleaks.pipeline.evidence.private import PrivateSteps
from brainleaks.pipeline.versions import of_defences

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
            "seen": self.steps.seen,
            "batch_size": self.steps.size,
            "batches": len(self.steps.batches),
            "time_steps": self.steps.time_steps,
            "neurons": self._neurons,
            "known": len(self._known),
            "accuracy": self.case.target.facts.get("test_accuracy"),
            "limit": measured([self._limit(i) for i in self.steps.batches]),
            "attacks": found,
        }
        claims = [claim(found, self.steps.seen, self.steps.size, len(self.steps.batches))]
        return Evidence(facts, claims, tensors=files)

    @cached_property
    def steps(self) -> PrivateSteps:
        return PrivateSteps(self.case)

    @property
    def _neurons(self) -> int:
        """Of the first layer, if that is fully connected to the inputs; else 0."""
        shape = self.case.pipeline.dataset.input_shape
        weights = first_weights(self.case.target.network, shape)
        return 0 if weights is None else len(weights)

    @cached_property
    def _known(self) -> Tensor:
        """Pictures of the training set, among which samples are re-identified."""
        return images(self.case.pipeline.dataset.train)

    def _attacked(
        self, name: str, attack: Attack, files: dict[str, dict[str, Tensor]]
    ) -> dict[str, Any]:
        """All batches, and the controls."""
        own, other, seconds, ranks, hidden = [], [], [], [], []
        for i in self.steps.batches:
            recovered, took = self._recovered(name, attack, i)
            batch = self._as_batch(recovered)
            own.append(self._compared(batch, i))
            other.append(self._compared(batch, (i + 1) % len(self.steps.batches)))
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

    def _recovered(
        self, name: str, attack: Attack, i: int, *, shuffled: bool = False
    ) -> tuple[Recovered, float]:
        """What an attack makes of a batch's gradient, and how long it took."""
        pipeline = self.case.pipeline
        asked = {
            "data": pipeline.dataset.fingerprint,
            "seed": pipeline.seed,
            "batch": i,
            "settings": self.steps.settings.model_dump(mode="json"),
            "shuffled": shuffled,
        }
        if self.steps.defences:
            asked["defences"] = of_defences(self.steps.defences)
        called = f"{name} batch {i}" + (" shuffled" if shuffled else "")
        artefact, _ = pipeline.ask(
            called,
            attack,
            self.case.target,
            lambda: (self.steps.step(i, shuffled=shuffled),),
            asked,
        )
        found = {key: value.cpu() for key, value in artefact.tensors.items()}
        return Recovered(**found), artefact.facts["seconds"]

    def _hidden(self, i: int) -> Tensor:
        """The private spikes before the last layer."""
        network = copy.deepcopy(self.case.target.network).train()
        return hidden_spikes_of(network, self.steps.batch(i).inputs).cpu()

    def _as_batch(self, recovered: Recovered) -> Batch:
        in_time = recovered.inputs.ndim == 5
        placed = recovered.inputs.flatten(0, 1) if in_time else recovered.loose[:0]
        return Batch(
            inputs=recovered.inputs,
            labels=recovered.labels,
            pictures=pictures(recovered.inputs, coded=self.steps.coded),
            vectors=torch.cat([placed.bool(), recovered.loose.bool()]),
        )

    def _compared(self, recovered: Batch, i: int) -> dict[str, Tensor]:
        batch = self.steps.batch(i)
        none = batch.inputs[:0].flatten(0, 1)
        private = Batch(batch.inputs.cpu(), batch.labels, self._known[batch.places], none)
        return compare(private, recovered, self._known, batch.places)

    def _limit(self, i: int) -> dict[str, Tensor]:
        """The same of the private inputs themselves: what recovering all of them gives."""
        batch = self.steps.batch(i)
        inputs = batch.inputs.cpu()
        shown = pictures(inputs, coded=self.steps.coded)
        vectors = inputs.flatten(0, 1).bool() if self.steps.spiking else inputs[:0]
        return self._compared(Batch(inputs, batch.labels, shown, vectors), i)

    def _shown(self, recovered: Batch, i: int) -> dict[str, Tensor]:
        """Pictures of a batch's private samples, and then of what was recovered of each."""
        private = self._known[self.steps.batch(i).places]
        return {"images": torch.cat([private, assigned(private, recovered.pictures)])}
