"""Weights of few bits, as neuromorphic chips store them."""

import copy
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.data.dataset import Samples
from brainleaks.defences.defence import Acts


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Quantisation:
    """Round each weight to one of ``2^bits - 1`` evenly spaced values, after training.

    The values are ``-m s, ..., 0, ..., m s`` with ``m = 2^(bits - 1) - 1`` and a scale
    ``s = max |w| / m``: symmetric uniform quantisation. Weights are parameters of at least two
    dimensions; biases keep their precision, as chips hold them in wider registers. The network
    computes with the dequantised weights, which is also what an attacker with the file has.

    Args:
        bits: of each weight, 2 to 16; Loihi stores 8 or fewer. Two bits are ternary weights.
        per: whether a scale is shared by a whole tensor, or by what leads to one output.

    Reference: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference",
    arXiv 1806.08342, sections 2.2 and 3.1.

    Example:
        >>> from brainleaks.networks import MLP
        >>> network = Quantisation(bits=2, per="tensor")(MLP((1, 4, 4), 3, hidden=5))
        >>> len(network.fc1.weight.unique())
        3
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "weights"

    bits: Annotated[int, Ge(2), Le(16)] = 8
    per: Literal["tensor", "channel"] = "channel"
    name: Literal["quantisation"] = "quantisation"

    @torch.no_grad()
    def __call__(
        self,
        network: nn.Module,
        samples: Samples | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """A copy of the network with quantised weights."""
        quantised = copy.deepcopy(network)
        for weight in quantised.parameters():
            if weight.ndim > 1:
                weight.copy_(self.rounded(weight))
        return quantised

    @torch.no_grad()
    def undo(self, network: nn.Module, *, generator: torch.Generator) -> nn.Module:
        """Spread each weight evenly over what was rounded to it (dithering).

        Medians and gradients that the few values leave at zero come back, on average.

        Args:
            network: with quantised weights; it is not changed.
            generator: draws, on the CPU.
        """
        dithered = copy.deepcopy(network)
        for weight in dithered.parameters():
            if weight.ndim > 1:
                drawn = torch.rand(weight.shape, generator=generator).to(weight.device)
                weight.add_((drawn - 0.5) * self._scale(weight))
        return dithered

    def rounded(self, weight: Tensor) -> Tensor:
        """The nearest values that there are, of weights ``(outputs, ...)``."""
        scale = self._scale(weight)
        return torch.where(scale > 0, (weight / scale).round() * scale, weight)

    def _scale(self, weight: Tensor) -> Tensor:
        """Between neighbouring values; the same before and after rounding."""
        shared = tuple(range(1 if self.per == "channel" else 0, weight.ndim))
        levels = 2 ** (self.bits - 1) - 1
        return weight.abs().amax(shared, keepdim=True) / float(levels)
