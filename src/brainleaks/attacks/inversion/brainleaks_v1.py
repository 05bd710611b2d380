"""BrainLeaks-v1: the gradient, made spikes."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.objectives import confidence
from brainleaks.monitor import Monitor
from brainleaks.networks import Readout, Response
from brainleaks.randomness import class_uniform, draw_seed
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class BrainLeaksV1:
    """Reconstruct spike trains by flipping spikes along the confidence gradient.

    Start from silence, ``x = 0``. Each iteration takes the gradient ``g`` of the class confidence,
    reads its size as a probability, ``a = (|g| - min|g|) / (max|g| - min|g|)`` over the sample,
    and flips spikes where a draw ``M ~ Bernoulli(a)`` says so::

        x <- 1 where x + sign(g) * M > 0, else 0

    Args:
        iterations: gradient steps; 10 for MNIST and N-MNIST, 25 for DVS128 Gesture.
        time_steps: length ``T`` of the spike trains.
        readout: which output trace the confidence is the softmax of; DVS128 Gesture takes
            the spikes.

    Reference: BrainLeaks (arXiv 2402.00906), first attack; PROTOCOL, Attacks.

    Example:
        >>> from brainleaks import FastSigmoid
        >>> from brainleaks.networks import SpikingMLP
        >>> network = SpikingMLP((1, 8, 8), 10, hidden=50, beta=0.7, surrogate=FastSigmoid(40))
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10)
        >>> spikes = BrainLeaksV1()(target, torch.arange(10))
        >>> tuple(spikes.shape)
        (25, 10, 1, 8, 8)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool] = True
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    iterations: Annotated[int, Ge(1)] = 10
    time_steps: Annotated[int, Ge(1)] = 25
    readout: Readout = "membrane"
    attack: Literal["brainleaks-v1"] = "brainleaks-v1"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Spike trains for the classes ``labels``, ``(T, len(labels), C, H, W)`` of 0 and 1.

        Raises:
            AccessError: if the target is not spiking or does not grant gradients.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        seed = draw_seed(generator)
        labels = labels.to(target.device)
        shape = (self.time_steps, *target.input_shape)
        start = torch.zeros(self.time_steps, len(labels), *target.input_shape, device=target.device)
        state = monitor.resume({"spikes": start, "entry": target.entry(start)})

        def objective(response: Response, labels: Tensor) -> Tensor:
            return confidence(response, labels, self.readout)

        for iteration in monitor.remaining(self.iterations):
            spikes = state["spikes"]
            values, gradient = target.gradient(state["entry"], labels, objective)
            noise = class_uniform(seed, iteration, labels, shape, like=spikes).transpose(0, 1)
            flips = gradient.sign() * (noise < _flip_probability(gradient))
            flipped = (spikes + flips > 0).to(spikes.dtype)
            # few spikes change: their weights alone are added to the currents
            entry = target.update(state["entry"], flipped - spikes)
            state = {"spikes": flipped, "entry": entry}
            monitor.advance(iteration, state, confidence=float(values.mean()))
        return state["spikes"]


def _flip_probability(gradient: Tensor) -> Tensor:
    """``|gradient|`` min-max normalised over each sample, ``(T, B, ...)``; 0 where it is flat."""
    size = gradient.abs()
    axes = (0, *range(2, size.ndim))
    low, high = size.amin(axes, keepdim=True), size.amax(axes, keepdim=True)
    span = high - low
    return (size - low) / span.where(span > 0, 1.0)
