"""GAMIN: a generator and a surrogate, trained together on a target's answers."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from brainleaks.attacks.descent import adam
from brainleaks.attacks.inputs import answers, reconstruction
from brainleaks.monitor import Monitor, State
from brainleaks.randomness import draw_seed, stream
from brainleaks.target import Access, Target

_CHANNELS = 16
#: The surrogate sees images of at most so many rows and columns.
_SEEN = 32


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Gamin:
    """Reconstruct images with a generator that is trained through a surrogate of the target.

    The target ``f`` gives scores, and no gradient. A surrogate ``S`` is trained to match
    its scores on images of the generator ``G(z, c)`` and on uniform noise ``N``, and ``G`` is
    trained through ``S`` to make images that are classified as ``c``. With the cross-entropy ``H``,
    each iteration queries ``f`` with ``samples`` generated images per class and as many of noise,
    and takes steps of Adam on::

        S:  H(f(G), S(G)) + k * H(f(N), S(N))
        G:  H(c, S(G(z, c)))
        k <- k + balance * (H(f(N), S(N)) - equilibrium * H(f(G), S(G))), kept in [0, 1]

    where ``H`` between two score vectors is reduced by the entropy of the first, which makes it the
    Kullback-Leibler divergence. ``k`` balances the surrogate's two tasks, as in BEGAN and GAMIN;
    the networks are small ones of ours.
    The reconstruction of a class is ``G(0, c)``. A spiking target is shown images as fresh
    Bernoulli spikes, the surrogate is an ordinary network of images.

    The classes share both networks, so the result for a class depends on which others are attacked.

    Args:
        iterations: of all three steps.
        samples: generated images per class and iteration, and as many of noise.
        surrogate_steps: steps of the surrogate on the scores of one iteration.
        generator_steps: steps of the generator in each iteration.
        hidden: width of the surrogate.
        latent: size of ``z``.
        surrogate_rate: its learning rate.
        generator_rate: its learning rate.
        equilibrium: target ratio of the surrogate's loss on noise to its loss on generated images.
        balance: learning rate of ``k``.
        time_steps: length ``T`` of the spike trains, of a spiking target.

    Reference: U. Aivodji, S. Gambs and T. Ther, "GAMIN: an adversarial approach to black-box model
    inversion" (arXiv 1909.11835), on spiking networks as in arXiv 2502.05509.

    Example:
        >>> from brainleaks.networks import MLP
        >>> network = MLP((1, 8, 8), 10, hidden=50)
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10, access="scores")
        >>> images = Gamin(iterations=3)(target, torch.arange(10))
        >>> tuple(images.shape), target.queries
        ((10, 1, 8, 8), 60)
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    iterations: Annotated[int, Ge(1)] = 100
    samples: Annotated[int, Ge(1)] = 1
    surrogate_steps: Annotated[int, Ge(1)] = 20
    generator_steps: Annotated[int, Ge(1)] = 5
    hidden: Annotated[int, Ge(1)] = 256
    latent: Annotated[int, Ge(1)] = 16
    surrogate_rate: Annotated[float, Gt(0)] = 1e-3
    generator_rate: Annotated[float, Gt(0)] = 1e-3
    equilibrium: Annotated[float, Gt(0)] = 0.5
    balance: Annotated[float, Ge(0)] = 0.1
    time_steps: Annotated[int, Ge(1)] = 25
    attack: Literal["gamin"] = "gamin"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Images for the classes ``labels``, ``(len(labels), C, H, W)`` in [0, 1].

        For a spiking target, spike probabilities ``(T, len(labels), C, H, W)`` that are the same at
        every time step.

        Raises:
            AccessError: if the target does not grant scores.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        seed = draw_seed(generator)
        labels = labels.to(target.device)
        maker, surrogate = self._networks(target, seed)
        state = monitor.resume(_start(maker, surrogate))
        vector_to_parameters(state["maker"], maker.parameters())
        vector_to_parameters(state["surrogate"], surrogate.parameters())
        for iteration in monitor.remaining(self.iterations):
            noise = stream(seed, iteration, device=target.device)
            state, confidence = self._step(
                target, labels, maker, surrogate, state, noise, iteration
            )
            monitor.advance(
                iteration, state, queries=float(target.queries), confidence=float(confidence)
            )
        with torch.no_grad():
            images = maker(torch.zeros(len(labels), self.latent, device=target.device), labels)
        return reconstruction(images, target, self.time_steps)

    def _networks(self, target: Target, seed: int) -> tuple["_Maker", nn.Module]:
        """Both networks as they start, a function of the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**32)
            maker = _Maker(target.input_shape, target.classes, self.latent)
            surrogate = _surrogate(target.input_shape, target.classes, self.hidden)
        return maker.to(target.device), surrogate.to(target.device)

    def _step(
        self,
        target: Target,
        labels: Tensor,
        maker: "_Maker",
        surrogate: nn.Module,
        state: State,
        noise: torch.Generator,
        iteration: int,
    ) -> tuple[State, Tensor]:
        """Ask the target, and descend on the surrogate's loss and the generator's."""
        wanted = labels.repeat(self.samples)

        def latent() -> Tensor:
            return torch.randn(len(wanted), self.latent, generator=noise, device=target.device)

        with torch.no_grad():
            made = maker(latent(), wanted)
        images = torch.cat([made, torch.rand(made.shape, generator=noise, device=made.device)])
        scores = answers(target.scores, images, target, self.time_steps, noise)

        def tasks() -> Tensor:
            return _divergence(surrogate(images), scores).view(2, -1).mean(1)

        def imitate() -> Tensor:
            return tasks() @ torch.stack([torch.ones_like(state["balance"]), state["balance"]])

        def persuade() -> Tensor:
            return functional.cross_entropy(surrogate(maker(latent(), wanted)), wanted)

        learned = _descend(
            surrogate,
            imitate,
            state["surrogate.moments"],
            steps=self.surrogate_steps,
            done=iteration,
            rate=self.surrogate_rate,
        )
        with torch.no_grad():
            unequal = tasks() @ scores.new_tensor([-self.equilibrium, 1.0])
        created = _descend(
            maker,
            persuade,
            state["maker.moments"],
            steps=self.generator_steps,
            done=iteration,
            rate=self.generator_rate,
        )
        state = {
            "surrogate": learned[0],
            "surrogate.moments": learned[1],
            "maker": created[0],
            "maker.moments": created[1],
            "balance": (state["balance"] + self.balance * unequal).clamp(0, 1),
        }
        return state, scores[: len(wanted)].gather(1, wanted.unsqueeze(1)).mean()


class _Maker(nn.Module):
    """The generator: latent values and a class to images ``(B, C, H, W)`` in (0, 1).

    It grows an eighth of the image's rows and columns by two convolutions, so that it is smooth.
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int, latent: int) -> None:
        super().__init__()
        channels, *self.size = input_shape
        self.classes = classes
        self.coarse = [math.ceil(side / 8) for side in self.size]
        self.stretch = _Resize([4 * side for side in self.coarse], self.size, _linear)
        self.first = nn.Linear(latent + classes, 2 * _CHANNELS * math.prod(self.coarse))
        self.grow = nn.Conv2d(2 * _CHANNELS, _CHANNELS, 3, padding=1)
        self.last = nn.Conv2d(_CHANNELS, channels, 3, padding=1)

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        named = functional.one_hot(labels, self.classes).to(latent.dtype)
        coarse = self.first(torch.cat([latent, named], 1)).relu()
        coarse = coarse.unflatten(1, (2 * _CHANNELS, *self.coarse))
        middle = self.grow(functional.interpolate(coarse, scale_factor=2)).relu()
        middle = self.last(functional.interpolate(middle, scale_factor=2))
        images: Tensor = self.stretch(middle).sigmoid()
        return images


class _Resize(nn.Module):
    """Rows and columns resized by a linear map ``(N, L) -> (N, L')``, as two matrix products.

    Torch's own operators sum in an order of their own on a GPU when they are differentiated.
    """

    rows: Tensor
    columns: Tensor

    def __init__(
        self, here: Sequence[int], there: Sequence[int], resize: Callable[[Tensor, int], Tensor]
    ) -> None:
        super().__init__()
        rows, columns = (resize(torch.eye(a), b) for a, b in zip(here, there, strict=True))
        self.register_buffer("rows", rows.T.contiguous())
        self.register_buffer("columns", columns)

    def forward(self, images: Tensor) -> Tensor:
        resized: Tensor = self.rows @ images @ self.columns
        return resized


def _linear(rows: Tensor, size: int) -> Tensor:
    return functional.interpolate(rows.unsqueeze(1), size, mode="linear").squeeze(1)


def _surrogate(input_shape: tuple[int, ...], classes: int, hidden: int) -> nn.Module:
    """An ordinary network from images, seen coarsely, to logits."""
    channels, height, width = input_shape
    size = (min(height, _SEEN), min(width, _SEEN))
    return nn.Sequential(
        _Resize((height, width), size, functional.adaptive_avg_pool1d),
        nn.Flatten(),
        nn.Linear(channels * math.prod(size), hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, classes),
    )


def _start(maker: nn.Module, surrogate: nn.Module) -> State:
    made = parameters_to_vector(maker.parameters()).detach()
    learned = parameters_to_vector(surrogate.parameters()).detach()
    return {
        "surrogate": learned,
        "surrogate.moments": learned.new_zeros(2, len(learned)),
        "maker": made,
        "maker.moments": made.new_zeros(2, len(made)),
        "balance": made.new_zeros(()),
    }


def _divergence(logits: Tensor, scores: Tensor) -> Tensor:
    """Cross-entropy with the scores less their entropy, ``(B,)``: 0 where they agree."""
    own = torch.xlogy(scores, scores).sum(1)
    return own - (scores * logits.log_softmax(1)).sum(1)


def _descend(
    network: nn.Module,
    loss: Callable[[], Tensor],
    moments: Tensor,
    *,
    steps: int,
    done: int,
    rate: float,
) -> tuple[Tensor, Tensor]:
    """Adam's next steps on a network, in place; its weights as one vector, and their moments.

    ``done`` is how many times so many steps were taken before.
    """
    weights = list(network.parameters())
    values = parameters_to_vector(weights).detach()
    for step in range(steps):
        gradient = parameters_to_vector(torch.autograd.grad(loss(), weights))
        values, moments = adam(values, gradient, moments, done * steps + step, rate)
        vector_to_parameters(values, weights)
    return values, moments
