"""Stream inversion: recordings of channels, as the average of many that the target would name."""

from contextlib import nullcontext
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.descent import adam, cosine
from brainleaks.attacks.objectives import negative_log_likelihood
from brainleaks.attacks.priors import smooth
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

    Of all recordings that a network names alike, most are noise to the ear. What they have in
    common is what the network listens for. So the attack searches many recordings ``z`` of each
    class from random starts, and averages them. Each is as likely as possible, given the class,
    under a prior that knows nothing private: a Gaussian process that is smooth in time and over
    neighbouring channels. With ``s`` the smoothing, scaled so that ``s(z)`` has the variance of
    ``z``, the probability of a spike is

        p[t, n] = w[t] * sigmoid(s(z)[t, n] + logit(rate / filled))

    and Adam minimises ``-mean over t of log softmax(U[t])_c + prior / 2 * |z|^2`` on spikes that
    are drawn from ``p`` anew in each iteration, with their derivative by ``p`` taken for 1.

    A network that is alike at all times cannot say when a recording ends. ``w`` assumes that
    recordings fill the share ``filled`` of their time steps, and are followed by silence.

    Args:
        starts: recordings a class.
        iterations: steps.
        rate: probability of a spike where ``z`` is 0, averaged over all time steps.
        filled: share of the time steps that recordings last.
        time_width: of the smoothing, as a share of the time steps.
        channel_width: of the smoothing, as a share of the channels.
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
        >>> network = SpikingRecurrent((1, 1, 8), 10, beta=0.9, surrogate=FastSigmoid(25))
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
        shape = (self.starts, *target.input_shape)
        like = torch.empty(0, device=target.device)
        uniform = class_uniform(seed, "start", labels, shape, like=like).clamp(1e-6, 1 - 1e-6)
        start = self.spread * torch.special.ndtri(uniform)
        state = monitor.resume({"z": start, "moments": torch.stack([torch.zeros_like(start)] * 2)})
        flatter = target.differentiated_by(FastSigmoid(self.slope)) if self.slope else nullcontext()
        with flatter:
            for iteration in monitor.remaining(self.iterations):
                noise = class_uniform(seed, iteration, labels, shape, like=like)
                cost, state = self._step(target, labels, state, noise, iteration)
                monitor.advance(iteration, state, cost=cost)
        return self._rates(state["z"]).mean(1)

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
        rates = self._rates(z)
        spikes = (noise < rates).to(rates.dtype).flatten(0, 1)
        named = labels.repeat_interleave(self.starts)
        costs, seen = target.gradient(target.entry(spikes), named, negative_log_likelihood)
        (gradient,) = torch.autograd.grad((rates * seen.view_as(rates)).sum(), z)
        size = self.learning_rate * cosine(iteration, self.iterations)
        gradient = gradient + self.prior * z.detach()
        moved, moments = adam(z.detach(), gradient, state["moments"], iteration, size)
        return float(costs.mean()), {"z": moved, "moments": moments}

    def _rates(self, z: Tensor) -> Tensor:
        """Probabilities of spikes, of the shape of ``z``, ``(B, starts, C, T, N)``."""
        steps, channels = z.shape[-2:]
        widths = (self.time_width * steps, self.channel_width * channels)
        impulse = torch.zeros(1, 1, 2 * steps + 1, 2 * channels + 1).to(z)
        impulse[..., steps, channels] = 1
        scale = smooth(impulse, widths).norm()
        smoothed = smooth(z.flatten(0, 2).unsqueeze(1), widths).view_as(z) / scale
        share = (torch.arange(steps).to(z) + 0.5) / steps
        lasting = torch.sigmoid((self.filled - share) / _FADE) if self.filled < 1 else share**0
        level = torch.tensor(min(self.rate / self.filled, _MOST)).logit()
        return lasting.unsqueeze(-1) * torch.sigmoid(smoothed + level)
