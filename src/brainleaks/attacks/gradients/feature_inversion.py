"""Pictures from the hidden spikes that they cause; every spike and silence constrains them."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainleaks.attacks.descent import adam, cosine
from brainleaks.attacks.priors import total_variation
from brainleaks.monitor import Monitor
from brainleaks.networks import respond
from brainleaks.neuron import LIF, FastSigmoid
from brainleaks.randomness import stream
from brainleaks.target import Target

#: A normal distribution's is nearly a logistic one of this scale.
_PROBIT = 1.7
#: Draws of a rate code at each step of the descent.
_DRAWS = 2
#: Deviation of a membrane beside what the code's draws do, as a share of the threshold, and of one
#: behind a code without draws.
_SOFT, _SOFT_ALONE = 0.1, 0.3
#: Slope of the surrogate between the picture and the hidden currents; flat ones reach further.
_SLOPE = 5.0


def hidden_layer(network: nn.Module) -> LIF:
    """The last hidden layer's neurons."""
    hidden: LIF = [layer for layer in network.modules() if isinstance(layer, LIF)][-2]
    return hidden


def hidden_currents(network: nn.Module, inputs: Tensor) -> Tensor:
    """What the last hidden layer's neurons are given, ``(T, B, D)``, in the last layer's order."""
    seen: list[Tensor] = []
    watch = hidden_layer(network).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    respond(network, inputs)
    watch.remove()
    current = seen[0]
    return (current.permute(0, 1, 4, 2, 3) if current.ndim == 5 else current).flatten(2)


@torch.no_grad()
def hidden_spikes_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """The spikes before the last layer that inputs cause, ``(T, B, D)`` of booleans."""
    spikes: Tensor = hidden_layer(network)(hidden_currents(network, inputs))[0]
    return spikes.bool()


class FeatureInversion:
    """Find pictures by what is known of the hidden spikes that they caused.

    A hidden membrane is ``V[t] = beta * V[t-1] + I[t] - theta * S[t-1]``, where the spikes ``S``
    are known and the current ``I`` is a function of the picture. It is above the threshold where
    there is a spike, and below where there is none. Behind a rate code the current is random; its
    mean and deviation are those of draws from the candidate picture. The likelihood of all spikes
    and silences, as of normal membranes, and the pictures' total variation are descended by Adam.

    Args:
        target: the network.
        hidden: spikes ``(T, B, D)``.
        rough: what the total variation of a picture counts.
        seed: of the draws.
    """

    def __init__(self, target: Target, hidden: Tensor, rough: float, seed: int) -> None:
        self._target, self._rough, self._seed = target, rough, seed
        self._hidden = hidden.to(target.device)
        # a training step is taken in training mode: batch norm sees the batch
        self._network: Any = copy.deepcopy(target.network).train()
        neuron = hidden_layer(self._network)
        self._beta, self._threshold = neuron.beta, neuron.threshold
        for layer in self._network.modules():
            if isinstance(layer, LIF):
                layer.surrogate = FastSigmoid(_SLOPE)

    def __call__(self, iterations: int, learning_rate: float, monitor: Monitor) -> Tensor:
        """Pictures ``(B, *input_shape)`` in [0, 1]."""
        shape = (self._hidden.shape[1], *self._target.input_shape)
        start = torch.zeros(shape, device=self._target.device)
        state = monitor.resume({"odds": start, "moments": torch.stack([start, start])})
        for i in monitor.remaining(iterations):
            odds = state["odds"].detach().requires_grad_()
            cost = self._cost(odds.sigmoid(), i)
            (gradient,) = torch.autograd.grad(cost, odds)
            rate = learning_rate * cosine(i, iterations)
            moved, moments = adam(odds.detach(), gradient, state["moments"], i, rate)
            state = {"odds": moved, "moments": moments}
            monitor.advance(i, state, cost=float(cost.detach()))
        return state["odds"].sigmoid()

    def _cost(self, pictures: Tensor, iteration: int) -> Tensor:
        """How unlikely the hidden spikes are, and how rough the pictures."""
        current, deviation = self._currents(pictures, iteration)
        membrane, before, unlikely = torch.zeros_like(current[0]), torch.zeros_like(current[0]), []
        for now, spikes in zip(current, self._hidden, strict=True):
            membrane = self._beta * membrane + now - self._threshold * before
            odds = _PROBIT * (membrane - self._threshold) / deviation
            unlikely.append(
                functional.binary_cross_entropy_with_logits(odds, spikes, reduction="sum")
            )
            before = spikes
        return torch.stack(unlikely).sum() + self._rough * total_variation(pictures).sum()

    def _currents(self, pictures: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """Expected hidden currents ``(T, B, D)``, and deviations of the membranes ``(B, D)``."""
        steps, batch = self._hidden.shape[:2]
        if not self._target.spiking:
            soft = torch.tensor(_SOFT_ALONE * self._threshold)
            return hidden_currents(self._network, pictures), soft.to(pictures)
        noise = stream(self._seed, "draws", iteration, device=pictures.device)
        size = (steps, _DRAWS, *pictures.shape)
        chance = torch.rand(size, generator=noise, device=pictures.device)
        drawn = (chance < pictures).to(pictures) + pictures - pictures.detach()
        found = hidden_currents(self._network, drawn.flatten(1, 2)).unflatten(1, (_DRAWS, batch))
        every = found.flatten(0, 1)
        least = (_SOFT * self._threshold) ** 2
        deviation = (every.var(0) / (1 - self._beta**2) + least).sqrt()
        return every.mean(0).expand(steps, *every.shape[1:]), deviation
