"""Statistics inversion: images that agree with what batch norm remembers of the training data."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.attacks.descent import adam, cosine
from brainleaks.attacks.objectives import log_odds, negative_log_likelihood
from brainleaks.attacks.priors import total_variation
from brainleaks.monitor import Monitor
from brainleaks.networks import respond
from brainleaks.randomness import draw_seed, stream
from brainleaks.target import Access, Target

#: Spread of the logits that the search starts from.
_SPREAD = 0.5


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class StatisticsInversion:
    """Reconstruct natural images from a network with batch norm.

    Each layer of batch norm keeps the mean ``m`` and the variance ``v`` that its channels had in
    training. Images that a network of natural images assigns to a class are noise, unless they are
    held to these. The attack searches ``members`` images ``x = sigmoid(z)`` of each class, all in
    one batch, and minimises by Adam, with a cosine schedule::

        mean over images of (-mean_t log softmax(U[t](x'))_c + variation * TV(x))
            + statistics * sum over layers of
                (|mean(a) - m|^2 + |std(a) - sqrt(v)|^2) / sum(v)

    where ``a`` is what the layer is given, its mean and standard deviation are those of each
    channel over the whole batch, and ``x'`` is ``x`` shifted around its borders by a few pixels and
    mirrored or not, all images alike and at random in each iteration. Of each class, the image with
    the largest log odds is returned.

    All of the target's classes are searched, whichever are asked for, as the statistics are those
    of all. Without batch norm, the second line is 0.

    Args:
        iterations: steps.
        members: images of each class.
        learning_rate: step size, in logits of a pixel.
        statistics: weight of the departure from the running averages.
        variation: weight of the total variation.
        shift: largest shift in pixels.
        flip: whether images are mirrored at random; not for classes that this changes.

    Reference: Yin, Molchanov, Alvarez, Li, Mallya, Hoiem, Jha and Kautz, "Dreaming to distill:
    data-free knowledge transfer via DeepInversion", CVPR 2020 (arXiv 1912.08795). Ours are the
    division by ``sum(v)``, the standard deviations instead of variances, pixels by a sigmoid, and
    the choice among members; theirs has another penalty, on the images' norm.

    Example:
        >>> from brainleaks.networks import VGG
        >>> target = Target(VGG((3, 8, 8), 4, widths=(8,)), input_shape=(3, 8, 8), classes=4)
        >>> images = StatisticsInversion(iterations=5, members=2)(target, torch.arange(4))
        >>> tuple(images.shape), 0 <= float(images.min()) <= float(images.max()) <= 1
        ((4, 3, 8, 8), True)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool | None] = False
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1
    by_default: ClassVar[bool] = False

    iterations: Annotated[int, Ge(1)] = 300
    members: Annotated[int, Ge(1)] = 10
    learning_rate: Annotated[float, Gt(0)] = 0.1
    statistics: Annotated[float, Ge(0)] = 3.0
    variation: Annotated[float, Ge(0)] = 0.002
    shift: Annotated[int, Ge(0)] = 2
    flip: bool = True
    attack: Literal["statistics-inversion"] = "statistics-inversion"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Images for the classes ``labels``, ``(len(labels), C, H, W)`` in [0, 1].

        Raises:
            AccessError: if the target takes spikes, or does not grant gradients.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        seed = draw_seed(generator)
        classes = torch.arange(target.classes, device=target.device).repeat(self.members)
        state = monitor.resume(self._start(target, len(classes), seed))
        for iteration in monitor.remaining(self.iterations):
            view = stream(seed, "view", iteration)
            cost, gradient = self._ask(target, state["logits"], classes, view)
            rate = cosine(iteration, self.iterations) * self.learning_rate
            logits, moments = adam(state["logits"], gradient, state["moments"], iteration, rate)
            state = {"logits": logits, "moments": moments}
            monitor.advance(iteration, state, cost=cost)
        images = torch.sigmoid(state["logits"])
        return self._best(target, images, classes)[labels.to(target.device)]

    def _start(self, target: Target, count: int, seed: int) -> dict[str, Tensor]:
        noise = torch.randn(count, *target.input_shape, generator=stream(seed, "start"))
        logits = (_SPREAD * noise).to(target.device)
        return {"logits": logits, "moments": torch.stack([torch.zeros_like(logits)] * 2)}

    def _ask(
        self, target: Target, logits: Tensor, classes: Tensor, generator: torch.Generator
    ) -> tuple[float, Tensor]:
        """The cost of all images together, and its gradient."""
        logits = logits.detach().requires_grad_()
        images = torch.sigmoid(logits)
        with remembered(target.network) as departures:
            response = respond(target.network, self._viewed(images, generator))
        target.queries += len(classes)
        cost = negative_log_likelihood(response, classes).mean()
        cost = cost + self.variation * total_variation(images).mean()
        cost = cost + self.statistics * sum(departures)
        (gradient,) = torch.autograd.grad(cost, logits)
        return float(cost.detach()), gradient

    def _viewed(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """All images shifted around their borders, and mirrored or not."""
        down, right = (torch.randint(2 * self.shift + 1, (2,), generator=generator)).tolist()
        moved = images.roll((down - self.shift, right - self.shift), (2, 3))
        mirrored = self.flip and bool(torch.rand((), generator=generator) < 0.5)
        return moved.flip(3) if mirrored else moved

    @torch.no_grad()
    def _best(self, target: Target, images: Tensor, classes: Tensor) -> Tensor:
        """Of each class the image with the largest log odds, ``(classes, C, H, W)``."""
        odds = log_odds(respond(target.network, images), classes)
        target.queries += len(classes)
        best = odds.view(self.members, -1).argmax(0)
        by_member = images.unflatten(0, (self.members, -1))
        chosen: Tensor = by_member[best, torch.arange(len(best), device=best.device)]
        return chosen


@contextmanager
def remembered(network: nn.Module) -> Iterator[list[Tensor]]:
    """Within it, each pass through a layer of batch norm adds how far its input departs.

    That is ``(|mean - m|^2 + |std - sqrt(v)|^2) / sum(v)`` over channels, with the layer's running
    mean ``m`` and variance ``v``.
    """
    found: list[Tensor] = []

    def note(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].movedim(1, 0).flatten(1)
        mean, std = values.mean(1), (values.var(1, unbiased=False) + layer.eps).sqrt()
        apart = (mean - layer.running_mean).square().sum()
        apart = apart + (std - (layer.running_var + layer.eps).sqrt()).square().sum()
        found.append(apart / layer.running_var.sum())

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    layers = [m for m in network.modules() if isinstance(m, kinds) and m.running_var is not None]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
