"""BrainLeaks-v2: spike probabilities, by a population of spike trains."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.fields import draw
from brainleaks.attacks.objectives import confidence, negative_log_likelihood
from brainleaks.monitor import Monitor
from brainleaks.networks import Response
from brainleaks.randomness import draw_seed
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class BrainLeaksV2:
    """Reconstruct spike probabilities from the gradients of spike trains drawn from them.

    Start from ``P = 0``, ``s = v = 0``. Each iteration draws ``n`` spike trains
    ``x_k ~ Bernoulli(P)``, and with ``cost_k = cost(x_k) + sparsity * mean(x_k)``::

        g = sum_k grad(cost_k) * cost_k / sum_k cost_k
        s <- s + alpha*s + (1 - alpha)*g^2      accumulator "adds", as released for MNIST
        s <- alpha*s + (1 - alpha)*g^2          accumulator "decays"
        v <- momentum * v + g
        P <- P - learning_rate / (sqrt(s) + epsilon) * v

    then negative entries of ``P`` become 0 and, where a sample's maximum exceeds 1, the sample
    is divided by it.

    Args:
        population: spike trains ``n`` drawn each iteration.
        iterations: steps of ``P``.
        time_steps: length ``T`` of the spike trains.
        learning_rate: step size.
        cost: ``1 - p_c`` ("confidence") or ``-mean_t log softmax(U[t])_c`` ("log-likelihood").
        sparsity: weight of the mean firing rate in the cost.
        alpha: memory of the squared gradient.
        momentum: memory of the gradient.
        epsilon: keeps the step finite.
        accumulator: whether the squared gradient adds up or decays.

    Reference: BrainLeaks (arXiv 2402.00906), second attack; PROTOCOL, Attacks.

    Example:
        >>> from brainleaks import FastSigmoid
        >>> from brainleaks.networks import SpikingMLP
        >>> network = SpikingMLP((1, 8, 8), 10, hidden=50, beta=0.7, surrogate=FastSigmoid(40))
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10)
        >>> rates = BrainLeaksV2()(target, torch.arange(10))
        >>> tuple(rates.shape), 0 <= float(rates.min()) <= float(rates.max()) <= 1
        ((25, 10, 1, 8, 8), True)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool] = True
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    population: Annotated[int, Ge(1)] = 7
    iterations: Annotated[int, Ge(1)] = 10
    time_steps: Annotated[int, Ge(1)] = 25
    learning_rate: Annotated[float, Gt(0)] = 1.0
    cost: Literal["confidence", "log-likelihood"] = "confidence"
    sparsity: Annotated[float, Ge(0)] = 0.01
    alpha: Annotated[float, Ge(0), Lt(1)] = 0.1
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    epsilon: Annotated[float, Gt(0)] = 1e-10
    accumulator: Literal["adds", "decays"] = "adds"
    attack: Literal["brainleaks-v2"] = "brainleaks-v2"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Spike probabilities for the classes ``labels``, ``(T, len(labels), C, H, W)`` in [0, 1].

        Raises:
            AccessError: if the target is not spiking or does not grant gradients.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        seed = draw_seed(generator)
        labels = labels.to(target.device)
        zeros = torch.zeros(self.time_steps, len(labels), *target.input_shape, device=target.device)
        state = monitor.resume({"rates": zeros, "squares": zeros, "velocity": zeros})
        for iteration in monitor.remaining(self.iterations):
            members = draw(state["rates"], labels, self.population, seed, iteration)
            costs, gradient = self._gradient(target, members, labels)
            state = self._step(gradient, **state)
            monitor.advance(iteration, state, cost=float(costs.mean()))
        return state["rates"]

    def _gradient(self, target: Target, members: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """``(costs, g)``: ``(n, B)`` and ``(T, B, ...)``."""
        entries = members[:, 0, 0].numel()
        costs = []

        def cost(response: Response, labels: Tensor) -> Tensor:
            if self.cost == "confidence":
                return 1 - confidence(response, labels)
            return negative_log_likelihood(response, labels)

        def weigh(values: Tensor, members: Tensor) -> Tensor:
            total = values + self.sparsity * members.mean((0, *range(3, members.ndim)))
            costs.append(total)
            return total / total.sum(0)

        _, gradient = target.shared_gradient(members, labels, cost, weigh)
        # the weights add up to one, and every member's penalty has this same gradient
        return torch.cat(costs, 1), gradient + self.sparsity / entries

    def _step(
        self, gradient: Tensor, *, rates: Tensor, squares: Tensor, velocity: Tensor
    ) -> dict[str, Tensor]:
        kept = (1 + self.alpha if self.accumulator == "adds" else self.alpha) * squares
        squares = kept + (1 - self.alpha) * gradient**2
        velocity = self.momentum * velocity + gradient
        rates = rates - self.learning_rate / (squares.sqrt() + self.epsilon) * velocity
        rates = rates.clamp(min=0)
        peak = rates.amax((0, *range(2, rates.ndim)), keepdim=True)
        return {
            "rates": rates / peak.clamp(min=1),
            "squares": squares,
            "velocity": velocity,
        }
