"""The training loop, and the places where a defence may change it."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainleaks.data.dataset import Samples
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor, State
from brainleaks.networks import Readout, Response, respond, respond_in_pieces
from brainleaks.randomness import stream
from brainleaks.training.augmentation import crop_and_flip
from brainleaks.training.checkpoint import restore, state_of
from brainleaks.training.loss import prediction, summed_cross_entropy
from brainleaks.training.recipe import Recipe

#: Turns images ``(B, C, H, W)`` into what the network takes, drawing from the generator.
Encode = Callable[[Tensor, torch.Generator], Tensor]

_KEPT = "kept."


class Batch(NamedTuple):
    """The samples of one step.

    Args:
        inputs: as the network takes them, ``(T, B, ...)`` or ``(B, ...)``.
        targets: classes ``(B,)``, or the probability of each class, ``(B, C)``.
    """

    inputs: Tensor
    targets: Tensor

    def probabilities(self, classes: int) -> Tensor:
        """The targets as the probability of each class, ``(B, C)``."""
        if self.targets.ndim > 1:
            return self.targets
        return functional.one_hot(self.targets, classes).float()


@dataclass
class TrainingLoop:
    """One training. A defence is called with it once, before the first step, and changes its parts.

    Attributes:
        network: is trained in place.
        samples: the training set. A defence may set some of it aside.
        recipe: the hyper-parameters.
        encode: turns images into what the network takes.
        seed: names the random streams.
        readout: which output trace says what the network predicts.
        deal: the samples of each step of an epoch, by their places in the training set.
        transforms: change a batch, one after another.
        penalties: are called after each forward pass and added to the loss.
        backward: the forward and backward pass of one step: leaves gradients on the parameters, and
            returns the mean loss and the response.
        before_update: are called with the learning rate before each update.
        after_epoch: are called with the number of each finished epoch; one that returns true ends
            the training.
        per_sample: whether a sample's gradient depends on that sample alone.
        noise: random numbers for defences, from another stream each epoch.
        progress: the share of all steps that were made.
        kept: tensors that a defence carries from one epoch to the next, with the checkpoint.
        facts: what a defence reports of the training, as JSON.
    """

    network: nn.Module
    samples: Samples
    recipe: Recipe
    encode: Encode
    seed: int
    readout: Readout = "membrane"
    transforms: list[Callable[[Batch], Batch]] = field(default_factory=list)
    penalties: list[Callable[[], Tensor]] = field(default_factory=list)
    before_update: list[Callable[[float], None]] = field(default_factory=list)
    after_epoch: list[Callable[[int], bool]] = field(default_factory=list)
    per_sample: bool = True
    progress: float = 0.0
    kept: State = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deal: Callable[[torch.Generator], Sequence[Tensor]] = self._shuffled
        self.backward: Callable[[Batch], tuple[Tensor, Response]] = self._backward
        self.device = next(self.network.parameters()).device
        self.noise = stream(self.seed, "defences", device=self.device)
        self._handles: list[Any] = []

    @cached_property
    def classes(self) -> int:
        """How many classes the network tells apart, by its answer to the first sample."""
        first = self.samples.inputs[torch.tensor([0])].to(self.device)
        inputs = self.encode(first, stream(self.seed, "trial", device=self.device))
        training = self.network.training
        answer = respond_in_pieces(self.network.eval(), inputs)
        self.network.train(training)
        return answer.membrane.shape[-1]

    def on_forward(
        self,
        module: nn.Module,
        hook: Callable[..., Any],
        *,
        before: bool = False,
    ) -> None:
        """Register a forward hook of a module, or one before its forward pass, for the training."""
        register = module.register_forward_pre_hook if before else module.register_forward_hook
        self._handles.append(register(hook))

    def loss(self, response: Response, targets: Tensor) -> Tensor:
        """The mean loss of a batch, with the penalties."""
        loss = summed_cross_entropy(response, targets)
        for penalty in self.penalties:
            loss = loss + penalty()
        return loss

    def run(self, monitor: Monitor) -> None:
        """Train.

        Raises:
            InputError: if the loss is no longer finite.
        """
        optimiser = torch.optim.Adam(
            self.network.parameters(), self.recipe.learning_rate, fused=True
        )
        with self._training():
            state = monitor.resume(self._state(optimiser))
            restore(self.network, optimiser, state)
            self.kept = {n.removeprefix(_KEPT): v for n, v in state.items() if n.startswith(_KEPT)}
            for epoch in monitor.remaining(self.recipe.epochs):
                if "stopped" in self.kept:
                    break
                loss, correct = self._epoch(epoch, optimiser)
                if not math.isfinite(loss):
                    raise InputError(
                        f"training diverged: the loss is {loss} after epoch {epoch + 1}. Lower "
                        "learning_rate, or clip the gradient."
                    )
                if any(ends(epoch) for ends in self.after_epoch):
                    self.kept["stopped"] = torch.tensor(epoch + 1)
                monitor.advance(epoch, self._state(optimiser), loss=loss, accuracy=correct)

    @contextmanager
    def _training(self) -> Iterator[None]:
        self.network.train()
        try:
            yield
        finally:
            for handle in self._handles:
                handle.remove()
            self.network.eval()

    def _epoch(self, epoch: int, optimiser: torch.optim.Adam) -> tuple[float, float]:
        """Make the steps of one epoch; the mean loss, and the share that was named rightly."""
        noise = stream(self.seed, "encoding", epoch, device=self.device)
        moves = stream(self.seed, "augmentation", epoch, device=self.device)
        self.noise = stream(self.seed, "defences", epoch, device=self.device)
        batches = self.deal(stream(self.seed, "order", epoch))
        totals = []
        for i, places in enumerate(batches):
            self.progress = (epoch + i / len(batches)) / self.recipe.epochs
            batch = self._batch(places, noise, moves)
            totals.append(self._step(optimiser, batch, self.samples.labels[places]))
        drawn = sum(map(len, batches))
        loss, correct = (torch.stack(totals).sum(0) / max(drawn, 1)).tolist()
        return loss, correct

    def _batch(self, places: Tensor, noise: torch.Generator, moves: torch.Generator) -> Batch:
        inputs = self.samples.inputs[places].to(self.device)
        if self.recipe.augments:
            inputs = crop_and_flip(inputs, self.recipe.crop, moves, flip=self.recipe.flip)
        batch = Batch(self.encode(inputs, noise), self.samples.labels[places].to(self.device))
        for transform in self.transforms:
            batch = transform(batch)
        return batch

    def _step(self, optimiser: torch.optim.Adam, batch: Batch, labels: Tensor) -> Tensor:
        """One step; the batch's loss times its size, and how many samples are named rightly."""
        rate = self.recipe.rate(self.progress)
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        loss, response = self.backward(batch)
        for change in self.before_update:
            change(rate)
        optimiser.step()
        with torch.no_grad():
            labels = labels.to(self.device)
            correct = (prediction(response, self.readout) == labels).sum()
            return torch.stack([loss * len(labels), correct.to(loss.dtype)])

    def _shuffled(self, generator: torch.Generator) -> Sequence[Tensor]:
        order = torch.randperm(len(self.samples.labels), generator=generator)
        return torch.split(order, self.recipe.batch_size)

    def _backward(self, batch: Batch) -> tuple[Tensor, Response]:
        response = respond(self.network, batch.inputs)
        loss = self.loss(response, batch.targets)
        loss.backward()
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        return loss, response

    def _state(self, optimiser: torch.optim.Adam) -> State:
        kept = {f"{_KEPT}{name}": value for name, value in self.kept.items()}
        return state_of(self.network, optimiser) | kept
