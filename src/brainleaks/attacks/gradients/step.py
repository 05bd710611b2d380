"""What an attacker sees of a training step, and what an attack makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from brainleaks.errors import InputError
from brainleaks.networks.weights import first_layer


@dataclass(frozen=True)
class TrainingStep:
    """The gradient of one batch, as a device sends it in federated learning, or more.

    The change of the weights over several steps of SGD, divided by minus the learning rate and by
    how many steps there were, is a mean of gradients, as is the sum that secure aggregation shows
    of several devices, divided by how many devices there are.

    Args:
        gradients: of the loss, by the names of the network's parameters. Some may be missing.
        batch_size: how many samples there are, if that is known.
        time_steps: how many time steps each sample has, if that is known.
        passes: how often each sample was encoded anew, as by a rate code in each local epoch.
    """

    gradients: Mapping[str, Tensor]
    batch_size: int | None = None
    time_steps: int | None = None
    passes: int = 1

    @property
    def vectors(self) -> int | None:
        """How many input vectors the gradient is a sum over, if that is known."""
        if self.batch_size is None or self.time_steps is None:
            return None
        return self.batch_size * self.time_steps * self.passes

    @property
    def encoded(self) -> int | None:
        """How many encoded samples there are, if that is known."""
        return None if self.batch_size is None else self.batch_size * self.passes

    def check_rank(self, rank: int) -> None:
        """Refuse a batch that is too small for what its gradient shows.

        Raises:
            InputError: if the gradient's rank exceeds samples times time steps.
        """
        if self.vectors is not None and rank > self.vectors:
            raise InputError(
                f"the training step: its gradient shows {rank} independent input vectors, but "
                f"{self.encoded} samples of {self.time_steps} time steps have at most "
                f"{self.vectors}; the batch size or the number of time steps is wrong."
            )

    def of_first_layer(self, network: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
        """The gradient of a first layer that is fully connected to the inputs, ``(H, D)``.

        Raises:
            InputError: if the network has no such layer, its gradient is missing or has another
                shape, is zero, or holds NaN or infinity.
        """
        layer = first_layer(network, input_shape)
        if layer is None:
            raise InputError(
                "the training step: the network's first layer is not fully connected to its "
                "inputs; this attack reads the gradient of one that is."
            )
        name, weight = f"{layer}.weight", network.get_parameter(f"{layer}.weight")
        gradient = self.gradients.get(name)
        if gradient is None:
            raise InputError(
                f"the training step: there is no gradient of {name}, the first layer's weights. It "
                "is missing if that layer was frozen, and then nothing can be read from it."
            )
        if gradient.shape != weight.shape:
            raise InputError(
                f"the training step: the gradient of {name} is {tuple(gradient.shape)}, and the "
                f"network's weights are {tuple(weight.shape)}; it belongs to another architecture."
            )
        if not gradient.isfinite().all():
            raise InputError(f"the training step: the gradient of {name} holds NaN or infinity.")
        if not gradient.any():
            raise InputError(f"the training step: the gradient of {name} is zero.")
        return gradient.detach().float()


class Recovered(NamedTuple):
    """What an attack recovered of a batch.

    Attributes:
        inputs: recovered samples in time order, ``(T, B, *input_shape)``, or ``(B, *input_shape)``
            of an ordinary network. A recording shorter than ``T`` ends in silence. Of a sample
            that was encoded several times, the passes follow one another.
        labels: the class of each, ``(B,)``, or -1 where it is not known.
        exact: the time steps that are certified, ``(T, B)``.
        loose: certified spike vectors that belong to no sample, ``(K, *input_shape)``.
        rank: how many independent input vectors the gradient shows.
    """

    inputs: Tensor
    labels: Tensor
    exact: Tensor
    loose: Tensor
    rank: Tensor


def nothing(input_shape: tuple[int, ...], rank: int) -> Recovered:
    """No sample at all."""
    empty = torch.zeros(0, 0, *input_shape, dtype=torch.bool)
    none = torch.zeros(0, dtype=torch.long)
    exact = torch.zeros(0, 0, dtype=torch.bool)
    return Recovered(empty, none, exact, empty.flatten(0, 1), torch.tensor(rank))
