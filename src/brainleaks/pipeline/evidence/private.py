"""The training steps that are attacked: private samples, and what a server sees of them."""

from dataclasses import asdict
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from brainleaks.attacks.gradients.step import TrainingStep
from brainleaks.data.encoding import RateCode
from brainleaks.defences import acting
from brainleaks.pipeline.evidence.kind import Case
from brainleaks.randomness import stream
from brainleaks.studies.testing import TrainingSteps
from brainleaks.training import gradients, update


class PrivateBatch(NamedTuple):
    """The samples that one update was computed on.

    Attributes:
        places: in the training set, ``(B,)``.
        passes: as the network takes them, ``(T, B, ...)`` or ``(B, ...)``, for each local epoch.
        labels: ``(B,)``.
        distinct: how many of the passes have inputs of their own.
    """

    places: Tensor
    passes: list[Tensor]
    labels: Tensor
    distinct: int

    @property
    def inputs(self) -> Tensor:
        """What the network took, all passes one after another in time."""
        return torch.cat(self.passes[: self.distinct]) if self.distinct > 1 else self.passes[0]


class PrivateSteps:
    """The training steps of a study; each batch is drawn without the others."""

    def __init__(self, case: Case) -> None:
        pipeline = case.pipeline
        self.settings = pipeline.study.training_steps or TrainingSteps()
        self.spiking = pipeline.study.spiking
        self.coded = isinstance(pipeline.study.encoding, RateCode)
        self.defences = acting(pipeline.study.defences, "step")
        self._pipeline, self._network = pipeline, case.target.network
        self._samples = pipeline.dataset.train

    @property
    def batches(self) -> range:
        """Their numbers."""
        return range(self.settings.batches)

    @cached_property
    def size(self) -> int:
        """Samples of an update, of all clients."""
        return min(self.settings.batch_size * self.settings.clients, len(self._samples.labels))

    @cached_property
    def time_steps(self) -> int:
        """Of each sample, in each pass."""
        return len(self.batch(0).passes[0]) if self.spiking else 1

    @property
    def seen(self) -> str:
        """What the attacker sees of an update, as the report says it."""
        local, clients = self.settings.local, self.settings.clients
        sent = "the gradient of one training step"
        if local:
            trained = f"{local.epochs} epoch{'s' * (local.epochs > 1)} of local training"
            sent = f"the weights after {trained} by {local.optimizer.upper()}"
        for defence in self.defences:
            chosen = {k: v for k, v in asdict(defence).items() if k != "name"}
            sent += f" behind {defence.name} ({', '.join(f'{k} {v:g}' for k, v in chosen.items())})"
        return sent if clients == 1 else f"the sum over {clients} devices of {sent}"

    def batch(self, i: int) -> PrivateBatch:
        """The samples of the ``i``-th update."""
        pipeline, local = self._pipeline, self.settings.local
        order = torch.randperm(
            len(self._samples.labels), generator=stream(pipeline.seed, "training step", i)
        )
        places = order[: self.size]
        noise = stream(pipeline.seed, "training step", i, "encoding", device=pipeline.device)
        given = self._samples.inputs[places].to(pipeline.device)
        epochs = local.epochs if local else 1
        distinct = epochs if self.coded else 1
        passes = [pipeline.encode(given, noise) for _ in range(distinct)]
        labels = self._samples.labels[places]
        return PrivateBatch(places, passes * (epochs // distinct), labels, distinct)

    def step(self, i: int, *, shuffled: bool) -> TrainingStep:
        """What the server sees, the mean over clients of what they send.

        In the control, the change of each weight is that of another weight.
        """
        batch, clients = self.batch(i), torch.arange(self.size).split(self.settings.batch_size)
        sent: dict[str, Tensor] = {}
        for client, own in enumerate(clients):
            for name, change in self._sent(batch, own, i, client).items():
                share = change / len(clients)
                sent[name] = sent[name] + share if name in sent else share
        if shuffled:
            noise = stream(self._pipeline.seed, "shuffled gradient")
            sent = {name: _permuted(change, noise) for name, change in sent.items()}
        if not self.settings.batch_size_known:
            return TrainingStep(sent)
        return TrainingStep(sent, self.size, self.time_steps, batch.distinct)

    def _sent(self, batch: PrivateBatch, own: Tensor, i: int, client: int) -> dict[str, Tensor]:
        """What one client sends, of its own samples."""
        device = self._pipeline.device
        labels, own = batch.labels[own].to(device), own.to(device)
        passes = [inputs.index_select(int(self.spiking), own) for inputs in batch.passes]
        seed, local = self._pipeline.seed, self.settings.local
        if local is None:
            sent = gradients(self._network, passes[0], labels)
        else:
            order = stream(seed, "training step", i, "order", client)
            sent = update(self._network, passes, labels, local, generator=order)
        for defence in self.defences:
            noise = stream(seed, "training step", i, "defence", defence.name, client)
            sent = defence(sent, generator=noise)
        return sent


def _permuted(values: Tensor, noise: torch.Generator) -> Tensor:
    order = torch.randperm(values.numel(), generator=noise).to(values.device)
    return values.flatten()[order].view_as(values)
