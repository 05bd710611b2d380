"""Differentially private training."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from brainleaks.defences.accountant import epsilon, noise_for
from brainleaks.defences.defence import Acts
from brainleaks.defences.per_sample import clipped
from brainleaks.errors import InputError
from brainleaks.networks import Response
from brainleaks.training import Batch, TrainingLoop


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class DPSGD:
    """Clip each sample's gradient, add Gaussian noise to the sum, and train on Poisson samples.

    Each step takes every sample with probability ``batch_size / N``, and there are
    ``ceil(N / batch_size)`` steps an epoch. The noisy sum over ``batch_size`` is what Adam is
    given; the recipe's ``gradient_clip`` is not applied. Clipped sums of ``mlp`` and
    ``spiking-mlp`` cost about as much as plain gradients
    (:func:`brainleaks.defences.per_sample.clipped`); other networks see one sample after another.

    The results report epsilon, for adding or removing one sample. It holds for whoever does not
    know the seed of the training, and for the weights alone: measured accuracies are not private.

    Args:
        noise_multiplier: standard deviation of the noise, as a multiple of ``max_gradient_norm``.
        max_gradient_norm: the largest norm of one sample's gradient.
        epsilon: a budget, instead of ``noise_multiplier``, which is then the smallest that keeps
            it.
        delta: the probability with which epsilon may fail; below one over the number of samples.

    Reference: Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang, "Deep learning with
    differential privacy", CCS 2016, arXiv 1607.00133, Algorithm 1.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    noise_multiplier: Annotated[float, Ge(0.1), Le(1000)] | None = None
    max_gradient_norm: Annotated[float, Gt(0)] = 1.0
    epsilon: Annotated[float, Gt(0)] | None = None
    delta: Annotated[float, Gt(0), Lt(1)] = 1e-5
    name: Literal["dp-sgd"] = "dp-sgd"

    @model_validator(mode="after")
    def _one_of_two(self) -> "DPSGD":
        if (self.noise_multiplier is None) == (self.epsilon is None):
            raise ValueError("give either noise_multiplier or epsilon")
        return self

    def __call__(self, loop: TrainingLoop) -> None:
        """Replace how batches are drawn and gradients are computed.

        Raises:
            InputError: if the budget cannot be kept, or the network has batch norm.
        """
        if any(isinstance(layer, _BatchNorm) for layer in loop.network.modules()):
            raise InputError(
                "defences: dp-sgd needs a network whose samples do not see each other, and batch "
                "norm averages over them; choose another architecture."
            )
        count, size = len(loop.samples.labels), loop.recipe.batch_size
        each, rate = math.ceil(count / size), min(1.0, size / count)
        steps, delta = each * loop.recipe.epochs, self.delta
        noise = self.noise_multiplier
        if noise is None:
            budget = self.epsilon or 0.0
            noise = noise_for(budget=budget, sampling_rate=rate, steps=steps, delta=delta)
        found = epsilon(noise_multiplier=noise, sampling_rate=rate, steps=steps, delta=delta)
        loop.facts[self.name] = {
            "epsilon": found,
            "delta": delta,
            "noise_multiplier": noise,
            "sampling_rate": rate,
            "steps": steps,
        }

        def deal(generator: torch.Generator) -> Sequence[Tensor]:
            drawn = torch.rand(each, count, generator=generator) < rate
            return [row.nonzero().flatten() for row in drawn]

        def backward(batch: Batch) -> tuple[Tensor, Response]:
            return self._backward(loop, batch, noise, size)

        loop.deal, loop.backward = deal, backward

    def _backward(
        self, loop: TrainingLoop, batch: Batch, noise: float, size: int
    ) -> tuple[Tensor, Response]:
        _check_alone(loop)
        parameters: list[nn.Parameter] = list(loop.network.parameters())
        if len(batch.targets):
            found = clipped(loop.network, batch, loop.loss, self.max_gradient_norm)
            sums, loss, response = found.gradients, found.loss.detach(), found.response
        else:
            sums, nothing = [torch.zeros_like(p) for p in parameters], torch.zeros(1, 0, 1)
            response = Response(None, nothing.to(loop.device))
            loss = response.membrane.sum()
        deviation = noise * self.max_gradient_norm
        for parameter, gradient in zip(parameters, sums, strict=True):
            drawn = torch.empty_like(gradient).normal_(0, deviation, generator=loop.noise)
            parameter.grad = (gradient + drawn) / size
        return loss, response


def _check_alone(loop: TrainingLoop) -> None:
    if not loop.per_sample:
        raise InputError(
            "defences: dp-sgd needs gradients of single samples, and another defence mixes samples "
            "or sets some aside; combine it with label-smoothing, event-drop, dropout or "
            "weight-decay alone."
        )
