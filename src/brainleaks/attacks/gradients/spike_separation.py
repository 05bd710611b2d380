"""Spike separation: every spike of a private batch, from the gradient of its loss."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from brainleaks.attacks.gradients.labels import agreement
from brainleaks.attacks.gradients.order import alike, chains, errors
from brainleaks.attacks.gradients.separation import binary_vectors, span
from brainleaks.attacks.gradients.step import Recovered, TrainingStep, nothing
from brainleaks.monitor import Monitor
from brainleaks.neuron import LIF
from brainleaks.target import Access, Target


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
    version: ClassVar[int] = 1

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
        behind = errors(gradient, found)
        samples, steps = _samples(behind, target, step)
        inputs, exact = _laid_out(found, samples, steps)
        told = torch.stack([behind[chain].sum(0) for chain in samples]) if samples else behind[:0]
        shaped = inputs.unflatten(2, target.input_shape)
        explained = agreement(target, shaped, told) if samples else told[:, :1]
        groups = _passes(inputs, explained, step)
        placed = {i for chain in samples for i in chain}
        loose = found[[i for i in range(len(found)) if i not in placed]]
        return Recovered(
            inputs=_joined(shaped, groups, step.passes).bool(),
            labels=torch.tensor([explained[group].sum(0).argmax() for group in groups]).long(),
            exact=_joined(exact, groups, step.passes) & certain,
            loose=loose[: len(loose) * certain].bool().unflatten(1, target.input_shape),
            rank=torch.tensor(rank),
        )


def _samples(errors: Tensor, target: Target, step: TrainingStep) -> tuple[list[list[int]], int]:
    """The vectors of each encoded sample in time order, and how many time steps it has."""
    ordered = chains(errors, _decay(target), step.encoded)
    steps = step.time_steps or max(map(len, ordered))
    if step.encoded == 1:  # whatever was found is of the one sample
        return [[i for chain in ordered for i in chain][:steps]], steps
    # pieces of a few vectors belong to no sample
    return [chain for chain in ordered if steps // 2 < len(chain) <= steps], steps


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
    for b, chain in enumerate(samples):
        inputs[: len(chain), b] = found[chain]
        exact[: len(chain), b] = True
    return inputs, exact
