"""Neurons whose threshold fluctuates while the network is used."""

import copy
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Gt, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.data.dataset import Samples
from brainleaks.defences.defence import Acts
from brainleaks.errors import InputError
from brainleaks.neuron import LIF
from brainleaks.randomness import draw_seed, stream


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class ThresholdNoise:
    """Add Gaussian noise to the threshold of every neuron in every time step.

    A neuron fires where ``V[t] > theta + n[t]`` with independent ``n[t] ~ N(0, (deviation
    theta)^2)``: an escape-noise neuron. The fused operator has one threshold, so the noise is moved
    into the current: with ``I'[t] = I[t] - n[t] + beta n[t-1]`` the membrane is
    ``V'[t] = V[t] - n[t]``, and ``V'[t] > theta`` fires in the same steps.

    The noise is drawn again at each forward pass. An attacker who may ask or differentiate often
    averages over it; attacks that iterate, and membership attacks with several draws, do.

    Args:
        deviation: standard deviation of the noise, as a share of the threshold.

    Reference: Gerstner, Kistler, Naud and Paninski, "Neuronal dynamics", 2014, section 9.1.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "neurons"

    deviation: Annotated[float, Gt(0), Le(10)] = 0.2
    name: Literal["threshold-noise"] = "threshold-noise"

    def __call__(
        self,
        network: nn.Module,
        samples: Samples | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """A copy of the network whose neurons are noisy.

        Raises:
            InputError: if it has no neurons that this package computes, or such with another reset.
        """
        noisy = copy.deepcopy(network)
        neurons = [layer for layer in noisy.modules() if isinstance(layer, LIF)]
        if not neurons or any(layer.reset == "zero" or not layer.reset_delay for layer in neurons):
            raise InputError(
                "defences: threshold-noise needs spiking neurons with a delayed, subtractive reset "
                "that this package computes itself; this network has none. Leave the defence out."
            )
        seed = draw_seed(generator)
        for i, layer in enumerate(neurons):
            noise = _Noise(self.deviation * layer.threshold, layer.beta, seed, i)
            layer.register_forward_pre_hook(noise.before)
            layer.register_forward_hook(noise.after)
        return noisy


class _Noise:
    """The noise of one layer. Every copy of the network begins with the same draws."""

    def __init__(self, deviation: float, beta: float, seed: int, layer: int) -> None:
        self.deviation, self.beta, self.seed, self.layer = deviation, beta, seed, layer
        self._passes = 0
        self._drawn = torch.zeros(())

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Noise":
        fresh = memo[id(self)] = _Noise(self.deviation, self.beta, self.seed, self.layer)
        return fresh

    def before(self, layer: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        """Move the noise into the current."""
        (current,) = arguments
        source = stream(
            self.seed, "threshold noise", self.layer, self._passes, device=current.device
        )
        self._passes += 1
        noise = torch.empty_like(current).normal_(0, self.deviation, generator=source)
        self._drawn = noise
        current = current - noise
        current[1:] += self.beta * noise[:-1]
        return (current,)

    def after(
        self, layer: nn.Module, arguments: tuple[Tensor], output: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Take it out of the membrane again."""
        spikes, membrane = output
        return spikes, membrane + self._drawn
