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
                "inputs; this attack reads the gradient of one that is. Choose readout-separation "
                "for a spiking network, or gradient-matching."
            )
        return self.of_weights(network, f"{layer}.weight")

    def of_weights(self, network: nn.Module, name: str) -> Tensor:
        """The gradient of weights of the network, by their name.

        Raises:
            InputError: if it is missing, has another shape, is zero, or holds NaN or infinity.
        """
        if name not in self.gradients:
            raise InputError(
                f"the training step: there is no gradient of {name}, which this attack reads. It "
                "is missing if that layer was frozen, and then nothing can be read from it."
            )
        gradient = self._fitting(name, network)
        if not gradient.any():
            raise InputError(f"the training step: the gradient of {name} is zero.")
        return gradient

    def _fitting(self, name: str, network: nn.Module) -> Tensor:
        gradient, weight = self.gradients[name], network.get_parameter(name)
        if gradient.shape != weight.shape:
            raise InputError(
                f"the training step: the gradient of {name} is {tuple(gradient.shape)}, and the "
                f"network's weights are {tuple(weight.shape)}; it belongs to another architecture."
            )
        if not gradient.isfinite().all():
            raise InputError(f"the training step: the gradient of {name} holds NaN or infinity.")
        return gradient.detach().float()

    def of_network(self, network: nn.Module) -> dict[str, Tensor]:
        """The gradients of all the network's weights that are there, by name.

        Raises:
            InputError: if none is, one has another shape or holds NaN or infinity, or all are zero.
        """
        names = [name for name, _ in network.named_parameters() if name in self.gradients]
        if not names:
            raise InputError(
                "the training step: it has no gradient of any of the network's weights."
            )
        found = {name: self._fitting(name, network) for name in names}
        if not any(gradient.any() for gradient in found.values()):
            raise InputError("the training step: its gradients are all zero.")
        return found


class Recovered(NamedTuple):
    """What an attack recovered of a batch.

    Attributes:
        inputs: recovered samples in time order, ``(T, B, *input_shape)``, or ``(B, *input_shape)``
            of an ordinary network. A recording shorter than ``T`` ends in silence. Of a sample
            that was encoded several times, the passes follow one another.
        labels: the class of each, ``(B,)``, or -1 where it is not known.
        exact: the time steps that are certified, ``(T, B)``; their hidden spikes, where the attack
            recovers these.
        loose: certified spike vectors that belong to no sample, ``(K, *input_shape)``.
        rank: how many independent input vectors the gradient shows.
        hidden: spikes before the last layer, ``(T, B, D)``, where the attack recovers these.
    """

    inputs: Tensor
    labels: Tensor
    exact: Tensor
    loose: Tensor
    rank: Tensor
    hidden: Tensor | None = None


def nothing(input_shape: tuple[int, ...], rank: int) -> Recovered:
    """No sample at all."""
    empty = torch.zeros(0, 0, *input_shape, dtype=torch.bool)
    none = torch.zeros(0, dtype=torch.long)
    exact = torch.zeros(0, 0, dtype=torch.bool)
    return Recovered(empty, none, exact, empty.flatten(0, 1), torch.tensor(rank))
