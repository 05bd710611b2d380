"""Weights that are nearly zero, removed."""

import copy
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import nn

from brainleaks.data.dataset import Samples
from brainleaks.defences.defence import Acts


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Pruning:
    """Set the smallest weights of each layer to zero, after training.

    Weights are parameters of at least two dimensions; biases stay. The network is not trained
    again afterwards.

    Args:
        share: of the weights of each layer that are removed, in (0, 1).

    Reference: Han, Pool, Tran and Dally, "Learning both weights and connections for efficient
    neural networks", arXiv 1506.02626, section 3 (without the second training).

    Example:
        >>> from brainleaks.networks import MLP
        >>> network = Pruning(share=0.75)(MLP((1, 4, 4), 3, hidden=5))
        >>> int((network.fc1.weight == 0).sum())
        60
    """

    version: ClassVar[int] = 2
    acts: ClassVar[Acts] = "weights"

    share: Annotated[float, Gt(0), Lt(1)] = 0.5
    name: Literal["pruning"] = "pruning"

    @torch.no_grad()
    def __call__(
        self,
        network: nn.Module,
        samples: Samples | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """A copy of the network without its smallest weights."""
        pruned = copy.deepcopy(network)
        for weight in pruned.parameters():
            if weight.ndim > 1:
                smallest = weight.abs().flatten().argsort()[: round(self.share * weight.numel())]
                kept = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
                kept[smallest] = False
                weight.mul_(kept.view_as(weight))
        return pruned

    @torch.no_grad()
    def undo(self, network: nn.Module, *, generator: torch.Generator) -> nn.Module:
        """Give what was removed a hundredth of the smallest weight that remains, of either sign.

        Medians over many weights, which the zeros leave at zero, come back in their order.

        Args:
            network: with pruned weights; it is not changed.
            generator: draws, on the CPU.
        """
        dithered = copy.deepcopy(network)
        for weight in dithered.parameters():
            if weight.ndim > 1 and (weight != 0).any():
                least = weight[weight != 0].abs().min() / 100
                drawn = torch.rand(weight.shape, generator=generator).to(weight.device)
                weight.copy_(torch.where(weight == 0, (2 * drawn - 1) * least, weight))
        return dithered
