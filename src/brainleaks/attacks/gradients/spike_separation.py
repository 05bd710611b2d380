"""Spike separation: every spike of a private batch, from the gradient of its loss."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from brainleaks.attacks.gradients.labels import agreement
from brainleaks.attacks.gradients.order import alike, chains, errors
from brainleaks.attacks.gradients.replay import Replay, replayable
from brainleaks.attacks.gradients.separation import Span, binary_vectors, completed, span
from brainleaks.attacks.gradients.step import Recovered, TrainingStep, nothing
from brainleaks.monitor import Monitor
from brainleaks.neuron import LIF
from brainleaks.target import Access, Target

#: In a sample's list of vectors, a time step without spikes.
SILENT = -1
#: Time steps of a sample, where they are not known.
_LONGEST = 1000


@dataclass(frozen=True)
class SpikeSeparation:
    """Recover the input spikes of a batch from the gradient of the first layer's weights.

    The gradient's rows span the input vectors of all samples and time steps, as long as there are
    no more of them than neurons in the first layer. The binary vectors in that span are the spikes
    (:mod:`~brainleaks.attacks.gradients.separation`), each with a certificate that needs no truth.
    The errors behind them say which follow each other, and so which are one sample
    (:mod:`~brainleaks.attacks.gradients.order`); the label is the one that explains its errors.

    Where noise hides how many vectors there are, the batch size must be known, and what is found is
    not certified. The attack computes no gradient of its own, but for the labels.

    Example:
        >>> from brainleaks.networks import SpikingMLP
        >>> from brainleaks.neuron import FastSigmoid
        >>> from brainleaks.training import summed_cross_entropy
        >>> network = SpikingMLP((1, 8, 8), 10, hidden=300, beta=0.7, surrogate=FastSigmoid(40))
        >>> private = (torch.rand(10, 2, 1, 8, 8) < 0.4).float()
        >>> loss = summed_cross_entropy(network(private), torch.tensor([3, 5]))
        >>> loss.backward()
        >>> step = TrainingStep({name: p.grad for name, p in network.named_parameters()})
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10)
        >>> recovered = SpikeSeparation()(target, step)
        >>> tuple(recovered.inputs.shape), bool(recovered.exact.all())
        ((10, 2, 1, 8, 8), True)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool | None] = True
    random: ClassVar[bool] = False
    kind: ClassVar[str] = "recovered-batch"
    version: ClassVar[int] = 2

    attack: Literal["spike-separation"] = "spike-separation"

    def __call__(
        self,
        target: Target,
        step: TrainingStep,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Recovered:
        """The batch of a training step.

        Raises:
            AccessError: if the target grants too little, or is not spiking.
            InputError: if the gradient is not one of the target's first layer.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        gradient = step.of_first_layer(target.network, target.input_shape).to(target.device)
        space = span(gradient, step.vectors)
        certain = space.cliff > 1
        if certain:
            step.check_rank(space.basis.shape[1])
        found = binary_vectors(space, monitor=monitor)
        rank = space.basis.shape[1]
        if not len(found):
            return nothing(target.input_shape, rank)
        replayed = _replayed(target, gradient, space, found, step) if certain else []
        if replayed:
            sure = torch.cat(replayed).unique(dim=0)
            found = completed(sure[sure.any(1)], found, space)
        behind = errors(gradient, found)
        samples, steps = _samples(found, behind, target, step, replayed)
        inputs, exact = _laid_out(found, samples, steps)
        told = [behind[[i for i in sample if i != SILENT]].sum(0) for sample in samples]
        shaped = inputs.unflatten(2, target.input_shape)
        explained = agreement(target, shaped, torch.stack(told)) if samples else behind[:0]
        groups = _passes(inputs, explained, step)
        placed = {i for sample in samples for i in sample}
        loose = found[[i for i in range(len(found)) if i not in placed]]
        return Recovered(
            inputs=_joined(shaped, groups, step.passes).bool(),
            labels=torch.tensor([explained[group].sum(0).argmax() for group in groups]).long(),
            exact=_joined(exact, groups, step.passes) & certain,
            loose=loose[: len(loose) * certain].bool().unflatten(1, target.input_shape),
            rank=torch.tensor(rank),
        )


def _replayed(
    target: Target, gradient: Tensor, space: Span, found: Tensor, step: TrainingStep
) -> list[Tensor]:
    """Samples that the network confirms, step by step, each ``(T, D)``."""
    rank = space.basis.shape[1]
    if not replayable(target.network, rank):
        return []
    silent = step.vectors is None or rank < step.vectors
    replay = Replay(target.network, gradient, space.basis, found, silent=silent)
    return replay.samples(step.time_steps or _LONGEST, step.encoded)


def _samples(
    found: Tensor, errors: Tensor, target: Target, step: TrainingStep, replayed: list[Tensor]
) -> tuple[list[list[int]], int]:
    """Each encoded sample in time order, as places in ``found``; and how many steps it has."""
    places = {vector.tobytes(): i for i, vector in enumerate(found.bool().cpu().numpy())}
    known = [[places.get(v.tobytes(), SILENT) for v in s.bool().cpu().numpy()] for s in replayed]
    fired = [[i for i in sample if i != SILENT] for sample in known]
    ordered = chains(errors, _decay(target), step.encoded, fired)
    ordered = [_with_silence(chain, known) for chain in ordered]
    steps = step.time_steps or max(map(len, ordered))
    if step.encoded == 1:  # whatever was found is of the one sample
        ordered.sort(key=lambda chain: chain[0] not in {sample[0] for sample in known})
        return [[i for chain in ordered for i in chain][:steps]], steps
    # pieces of a few vectors belong to no sample
    return [chain for chain in ordered if steps // 2 < len(chain) <= steps], steps


def _with_silence(chain: list[int], known: list[list[int]]) -> list[int]:
    """A sample with the silent steps of the replayed one that it begins with."""
    for sample in known:
        if chain[0] == sample[0]:
            fired = sum(i != SILENT for i in sample)
            return [*sample, *chain[fired:]]
    return chain


def _passes(inputs: Tensor, explained: Tensor, step: TrainingStep) -> list[list[int]]:
    """The encodings of each sample, ``(T, N, D)``, those at the known weights first.

    Local training moves the weights away from those that errors are explained by.
    """
    if step.passes == 1 or step.batch_size is None:
        return [[i] for i in range(inputs.shape[1])]
    groups = alike(inputs.mean(0), step.batch_size)
    best = explained.amax(1)
    return [sorted(group, key=lambda i: -float(best[i]))[: step.passes] for group in groups]


def _joined(values: Tensor, groups: list[list[int]], passes: int) -> Tensor:
    """Encodings ``(T, N, ...)`` of one sample one after another, ``(passes * T, B, ...)``."""
    steps = len(values)
    joined = values.new_zeros(passes * steps, len(groups), *values.shape[2:])
    for b, group in enumerate(groups):
        joined[: len(group) * steps, b] = values[:, group].transpose(0, 1).flatten(0, 1)
    return joined


def _decay(target: Target) -> float | Tensor:
    """The first spiking layer's ``beta``."""
    first = next(layer for layer in target.network.modules() if isinstance(layer, LIF))
    return first.beta


def _laid_out(found: Tensor, samples: list[list[int]], steps: int) -> tuple[Tensor, Tensor]:
    """Samples ``(T, B, D)`` of vectors in time order, and which steps are not padding."""
    inputs = found.new_zeros(steps, len(samples), found.shape[1])
    exact = torch.zeros(steps, len(samples), dtype=torch.bool, device=found.device)
    for b, sample in enumerate(samples):
        fired = [t for t, i in enumerate(sample) if i != SILENT]
        inputs[fired, b] = found[[sample[t] for t in fired]]
        exact[fired, b] = True
    return inputs, exact
