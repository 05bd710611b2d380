"""Readout separation: hidden spikes from the last layer's gradient, and pictures from these."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked
from torch import nn

from brainleaks.attacks.gradients.feature_inversion import FeatureInversion
from brainleaks.attacks.gradients.readout import Found, hidden_spikes
from brainleaks.attacks.gradients.step import Recovered, TrainingStep, nothing
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.networks.views import Coded
from brainleaks.neuron import LIF
from brainleaks.randomness import draw_seed
from brainleaks.target import Access, Target


@checked(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class ReadoutSeparation:
    """Recover the spikes before the last layer, and pictures that cause them.

    Convolutions share their weights between places, so that their gradients do not span the inputs.
    The last layer is fully connected, and its inputs are binary. Each hidden neuron's column of its
    gradient is the sum of the errors of the time steps at which it fired: a subset sum, with one
    solution (:mod:`~brainleaks.attacks.gradients.subset_sums`). The errors of cross-entropy put the
    time steps in order (:mod:`~brainleaks.attacks.gradients.readout`). Nothing limits the batch to
    the number of classes. Pictures are then searched whose hidden spikes these would be
    (:mod:`~brainleaks.attacks.gradients.feature_inversion`).

    The loss must be the cross-entropy of the output membrane, summed over time; the last layer must
    be fully connected with leaky neurons behind it. The batch size must be known. Under noise, no
    column is a subset sum and nothing is found.

    Args:
        total_variation: its weight per picture, beside the likelihood of the hidden spikes.
        iterations: of Adam, on the pictures.
        learning_rate: of Adam, at first; it falls to nothing along half a cosine.

    Example:
        >>> from brainleaks.networks import SpikingConvNet
        >>> from brainleaks.neuron import FastSigmoid
        >>> from brainleaks.training import summed_cross_entropy
        >>> neuron = {"beta": 0.7, "surrogate": FastSigmoid(40)}
        >>> network = SpikingConvNet((1, 16, 16), 10, kernel=3, **neuron)
        >>> private = (torch.rand(8, 1, 1, 16, 16) < 0.4).float()
        >>> summed_cross_entropy(network(private), torch.tensor([3])).backward()
        >>> step = TrainingStep({n: p.grad for n, p in network.named_parameters()}, 1, 8)
        >>> target = Target(network, input_shape=(1, 16, 16), classes=10)
        >>> recovered = ReadoutSeparation(iterations=2)(target, step)
        >>> tuple(recovered.hidden.shape), recovered.labels.tolist()
        ((8, 1, 96), [3])
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "recovered-batch"
    version: ClassVar[int] = 1

    total_variation: Annotated[float, Ge(0)] = 1.0
    iterations: Annotated[int, Ge(1)] = 200
    learning_rate: Annotated[float, Gt(0)] = 0.2
    attack: Literal["readout-separation"] = "readout-separation"

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
            AccessError: if the target grants too little.
            InputError: if the network has no such last layer, its gradient is not the network's, or
                the batch size is not known.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        found = _found(target, step)
        count, steps = found.hidden.shape[1], len(found.hidden)
        if not count:
            return nothing(target.input_shape, 0)._replace(hidden=found.hidden.bool())
        search = FeatureInversion(target, found.hidden, self.total_variation, draw_seed(generator))
        pictures = search(self.iterations, self.learning_rate, monitor or Monitor())
        over_time = pictures.expand(steps, *pictures.shape) if target.spiking else pictures
        return Recovered(
            inputs=over_time.contiguous(),
            labels=found.labels,
            exact=found.certain,
            loose=torch.zeros(0, *target.input_shape, dtype=torch.bool),
            rank=found.hidden.any(2).sum(),
            hidden=found.hidden.bool(),
        )


def _found(target: Target, step: TrainingStep) -> Found:
    """The hidden spikes of a training step."""
    network = target.network
    name, last, neuron = _readout(network)
    steps = network.steps if isinstance(network, Coded) else step.time_steps
    if step.batch_size is None or steps is None:
        raise InputError(
            "the training step: its batch size is not known; readout-separation needs it, and "
            "the number of time steps."
        )
    gradient = step.of_weights(network, f"{name}.weight") * step.batch_size
    return hidden_spikes(gradient.double().cpu().numpy(), last, neuron, steps)


def _readout(network: nn.Module) -> tuple[str, nn.Linear, LIF]:
    """The last layer, its name, and the neurons behind it."""
    parts = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | LIF)]
    linear = [(n, m) for n, m in parts if isinstance(m, nn.Linear)]
    neurons = [m for _, m in parts if isinstance(m, LIF)]
    if not linear or len(neurons) < 2 or neurons[-1].reset == "zero":
        raise InputError(
            "the training step: readout-separation needs a fully connected last layer between "
            "two layers of leaky neurons, the last without a reset to zero; this network has none."
        )
    name, last = linear[-1]
    return name, last, neurons[-1]
