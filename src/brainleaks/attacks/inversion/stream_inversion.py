"""Stream inversion: the average of many recordings of channels that the target recognises."""

import math
from contextlib import nullcontext
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.descent import adam, cosine
from brainleaks.attacks.objectives import negative_log_likelihood
from brainleaks.monitor import Monitor
from brainleaks.neuron import FastSigmoid
from brainleaks.randomness import class_uniform, draw_seed
from brainleaks.target import Access, Target

#: How gradually recordings end, as a share of their time steps.
_FADE = 0.05
#: Probability of a spike at most, where ``z`` is 0.
_MOST = 0.9


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class StreamInversion:
    """Reconstruct recordings of channels, such as sound or touch.

    Most of the recordings that a network assigns to a class sound like noise. What they have in
    common is what the network has learned of the class. So the attack searches many recordings
    ``z`` of each class from random starts, and averages them. Each is as likely as possible,
    given the class, under a prior that knows nothing private: a Gaussian process that is smooth in
    time and over neighbouring channels. Of Gaussian bumps ``a`` over the time steps and ``b`` over
    the channels, the squares summing to 1 at each, ``z`` holds the weights, and the probability of
    a spike is

        p[t, n] = w[t] * sigmoid(sum over k, l of a[t, k] z[k, l] b[n, l] + logit(rate / filled))

    and Adam minimises ``-mean over t of log softmax(U[t])_c + prior / 2 * |z|^2`` on spikes that
    are drawn from ``p`` anew in each iteration, with their derivative by ``p`` taken for 1.

    A network has the same weights at every time step, and so cannot say when a recording ends.
    ``w`` assumes that recordings fill the share ``filled`` of their time steps, and are
    followed by silence.

    Args:
        starts: recordings a class.
        iterations: steps.
        rate: probability of a spike where ``z`` is 0, averaged over all time steps.
        filled: share of the time steps that recordings last.
        time_width: of the bumps, and their distance, as a share of the time steps; 0 for no bumps.
        channel_width: likewise, as a share of the channels.
        spread: standard deviation of ``z`` at the start.
        prior: weight of the prior.
        learning_rate: step size.
        slope: of the fast sigmoid that neurons are differentiated by; ``None`` keeps their own.

    Reference: ours. Averages over random starts: Nguyen, Yosinski and Clune 2016, Multifaceted
    feature visualization. Straight-through derivatives: Bengio et al. 2013.

    Example:
        >>> from brainleaks.data.codes import StreamCode
        >>> from brainleaks.networks import SpikingRecurrent
        >>> from brainleaks.networks.views import Coded
        >>> network = SpikingRecurrent(
        ...     (1, 1, 8), 10, hidden=20, beta=0.9, surrogate=FastSigmoid(25)
        ... )
        >>> network = Coded(network, StreamCode(20), 20)
        >>> target = Target(network, input_shape=(1, 20, 8), classes=10)
        >>> rates = StreamInversion(iterations=5)(target, torch.arange(10))
        >>> tuple(rates.shape), 0 <= float(rates.min()) <= float(rates.max()) <= 1
        ((10, 1, 20, 8), True)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool | None] = False
    encodings: ClassVar[tuple[str, ...]] = ("stream",)
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    starts: Annotated[int, Ge(1)] = 16
    iterations: Annotated[int, Ge(1)] = 60
    rate: Annotated[float, Gt(0), Lt(1)] = 0.15
    filled: Annotated[float, Gt(0), Le(1)] = 0.5
    time_width: Annotated[float, Ge(0)] = 0.05
    channel_width: Annotated[float, Ge(0)] = 0.05
    spread: Annotated[float, Ge(0)] = 2.0
    prior: Annotated[float, Ge(0)] = 0.03
    learning_rate: Annotated[float, Gt(0)] = 0.1
    slope: Annotated[float, Gt(0)] | None = 10.0
    attack: Literal["stream-inversion"] = "stream-inversion"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Probabilities of spikes for the classes ``labels``.

        Returns:
            ``(len(labels), C, T, N)``, in [0, 1].

        Raises:
            AccessError: if the target does not grant gradients.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        seed = draw_seed(generator)
        labels = labels.to(target.device)
        like = torch.empty(0, device=target.device)
        shape = (self.starts, *target.input_shape)
        knots = [basis.shape[1] for basis in self._bases(target, like)]
        small = (*shape[:2], *knots)
        uniform = class_uniform(seed, "start", labels, small, like=like).clamp(1e-6, 1 - 1e-6)
        start = self.spread * torch.special.ndtri(uniform)
        state = monitor.resume({"z": start, "moments": torch.stack([torch.zeros_like(start)] * 2)})
        flatter = target.differentiated_by(FastSigmoid(self.slope)) if self.slope else nullcontext()
        with flatter:
            for iteration in monitor.remaining(self.iterations):
                noise = class_uniform(seed, iteration, labels, shape, like=like)
                cost, state = self._step(target, labels, state, noise, iteration)
                monitor.advance(iteration, state, cost=cost)
        return self._rates(target, state["z"]).mean(1)

    def _step(
        self,
        target: Target,
        labels: Tensor,
        state: dict[str, Tensor],
        noise: Tensor,
        iteration: int,
    ) -> tuple[float, dict[str, Tensor]]:
        """The mean cost, and the state after a step of Adam on the cost and the prior."""
        z = state["z"].detach().requires_grad_()
        rates = self._rates(target, z)
        spikes = (noise < rates).to(rates.dtype).flatten(0, 1)
        named = labels.repeat_interleave(self.starts)
        costs, seen = target.gradient(target.entry(spikes), named, negative_log_likelihood)
        (gradient,) = torch.autograd.grad((rates * seen.view_as(rates)).sum(), z)
        size = self.learning_rate * cosine(iteration, self.iterations)
        gradient = gradient + self.prior * z.detach()
        moved, moments = adam(z.detach(), gradient, state["moments"], iteration, size)
        return float(costs.mean()), {"z": moved, "moments": moments}

    def _rates(self, target: Target, z: Tensor) -> Tensor:
        """Probabilities of spikes ``(B, starts, C, T, N)``."""
        in_time, in_channels = self._bases(target, z)
        field = in_time @ z @ in_channels.T
        steps = target.input_shape[-2]
        share = (torch.arange(steps).to(z) + 0.5) / steps
        lasting = torch.ones_like(share)
        if self.filled < 1:
            lasting = torch.sigmoid((self.filled - share) / _FADE)
        level = torch.tensor(min(self.rate / self.filled, _MOST)).logit()
        rates: Tensor = lasting.unsqueeze(-1) * torch.sigmoid(field + level)
        return rates

    def _bases(self, target: Target, like: Tensor) -> tuple[Tensor, Tensor]:
        """Bumps over the time steps, ``(T, K)``, and over the channels, ``(N, L)``."""
        sizes = target.input_shape[-2:]
        widths = (self.time_width, self.channel_width)
        first, second = (_bumps(n, width, like) for n, width in zip(sizes, widths, strict=True))
        return first, second


def _bumps(size: int, width: float, like: Tensor) -> Tensor:
    """Gaussians, as far apart as they are wide, ``(size, K)``; the squares at a place sum to 1."""
    count = min(size, 1 + math.ceil(1 / width)) if width else size
    if count == size:
        return torch.eye(size).to(like)
    places = torch.linspace(0, 1, size).unsqueeze(1)
    centres = torch.linspace(0, 1, count)
    bumps = torch.exp(-0.5 * ((places - centres) / width) ** 2)
    scaled: Tensor = bumps / bumps.norm(dim=1, keepdim=True)
    return scaled.to(like)
