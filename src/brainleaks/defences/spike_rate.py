"""A price on hidden spikes."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Gt, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.defences.defence import Acts
from brainleaks.defences.hidden import hidden_neurons
from brainleaks.errors import InputError
from brainleaks.training import TrainingLoop


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class SpikeRateRegularisation:
    """Add ``strength`` times the mean number of spikes of a hidden neuron to the loss.

    The mean is over the samples of a batch and the neurons of a layer; layers add up. Fewer spikes
    also cost less energy.

    Args:
        strength: the price of one spike of every neuron of a layer, in units of the loss.

    Reference: Zenke and Vogels, "The remarkable robustness of surrogate gradient learning for
    instilling complex function in spiking neural networks", Neural Computation 2021, section 4.5;
    with the mean in place of their thresholds.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    strength: Annotated[float, Gt(0), Le(1000)] = 1.0
    name: Literal["spike-rate-regularisation"] = "spike-rate-regularisation"

    def __call__(self, loop: TrainingLoop) -> None:
        """Add the price to the loss of every batch.

        Raises:
            InputError: if the network has no hidden spiking neurons.
        """
        layers = hidden_neurons(loop.network)
        if not layers:
            raise InputError(
                "defences: spike-rate-regularisation needs hidden spiking neurons, and the network "
                "has none; leave it out."
            )
        counts: list[Tensor] = []

        def count(layer: nn.Module, arguments: Any, output: tuple[Tensor, Tensor]) -> None:
            if layer.training:
                counts.append(output[0].sum(0).mean())

        def price() -> Tensor:
            total = self.strength * torch.stack(counts).sum()
            counts.clear()
            return total

        for layer in layers:
            loop.on_forward(layer, count)
        loop.penalties.append(price)
        loop.per_sample = False
