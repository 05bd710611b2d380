"""New weights for inputs that never fire."""

import copy
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.data.dataset import Samples, SpikeTrains
from brainleaks.defences.defence import Acts
from brainleaks.errors import InputError
from brainleaks.networks.weights import first_layer


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class RedrawDeadInputs:
    """Draw the first layer's weights from inputs that never fire in the training data again.

    Such an input has no gradient, so that its weights stay as the network's generator drew them,
    and give its state away (:mod:`brainleaks.attacks.beginning`). They are redrawn from the
    distribution of :class:`torch.nn.Linear`, by a generator that drew nothing else. What the
    network answers to data like the training data does not change.

    A network that was drawn before any other number of its generator is still found by who compares
    the first draws of all 32-bit seeds with the weights of the other inputs.

    The defence is ours.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "weights"

    name: Literal["redraw-dead-inputs"] = "redraw-dead-inputs"

    @torch.no_grad()
    def __call__(
        self, network: nn.Module, samples: Samples, *, generator: torch.Generator | None = None
    ) -> nn.Module:
        """A copy of the network in which these weights are new.

        Args:
            network: trained on ``samples``.
            samples: its training set.
            generator: draws the weights, on the CPU; by default one of a fresh, secret seed.

        Raises:
            InputError: if the first layer is not fully connected to the inputs.
        """
        never = silent_inputs(samples)
        name = first_layer(network, tuple(never.shape))
        if name is None:
            raise InputError(
                "defences: redraw-dead-inputs needs a first layer that is fully connected to the "
                "inputs; this network has none. Leave the defence out."
            )
        redrawn = copy.deepcopy(network)
        weight = redrawn.get_parameter(f"{name}.weight")
        if generator is None:
            generator = torch.Generator()
            generator.seed()
        bound = weight.shape[1] ** -0.5
        drawn = (2 * torch.rand(weight.shape, generator=generator) - 1) * bound
        columns = never.flatten().to(weight.device)
        weight.copy_(torch.where(columns, drawn.to(weight.device), weight))
        return redrawn


def silent_inputs(samples: Samples) -> Tensor:
    """Whether an input is zero in every sample, ``(C, H, W)``."""
    inputs = samples.inputs
    if isinstance(inputs, SpikeTrains):
        counts = np.bincount(inputs.pixels, minlength=int(np.prod(inputs.shape)))
        return torch.from_numpy(counts == 0).view(inputs.shape)
    return (inputs == 0).all(0)
