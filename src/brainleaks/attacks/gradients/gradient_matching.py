"""Gradient matching: inputs whose gradient is the one that was seen."""

import copy
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked
from torch import Tensor

from brainleaks.attacks.descent import adam
from brainleaks.attacks.gradients.labels import counted, summed_loss
from brainleaks.attacks.gradients.step import Recovered, TrainingStep
from brainleaks.attacks.priors import total_variation
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.networks import respond
from brainleaks.randomness import draw_seed, stream
from brainleaks.target import Access, Target

#: The learning rate falls to a tenth after these shares of the iterations (Geiping et al. 2020).
_DROPS = (3 / 8, 5 / 8, 7 / 8)
_SPREAD = 0.1


@checked(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class GradientMatching:
    """Search inputs by descending the difference between their gradient and the one that was seen.

    With the defaults this is *inverting gradients* (Geiping et al., "Inverting gradients: how easy
    is it to break privacy in federated learning?", NeurIPS 2020, equation 4): one less the cosine
    between both gradients plus the total variation, by Adam on the sign of its gradient. With
    ``distance="euclidean"``, ``total_variation=0`` and ``signed=False`` it is *deep leakage from
    gradients* (Zhu et al., NeurIPS 2019, equation 4), but for Adam instead of L-BFGS. Labels are
    counted in the gradient of the last layer's bias instead of searched, as in iDLG (Zhao et al.
    2020). The network is differentiated twice: through a spike, by the surrogate's derivative.

    Args:
        distance: between all gradients, as one vector.
        total_variation: its weight, per pixel.
        signed: whether Adam is given the sign of the gradient alone.
        iterations: of Adam, for each restart.
        learning_rate: of Adam; it falls to a tenth three times.
        restarts: how often the search starts; the inputs with the least distance are returned.
        unknown: what is searched where the network takes spikes: ``"picture"``, which every time
            step is given as it is, the expectation of a rate code; or ``"spikes"``, relaxed to
            [0, 1], of which the forward pass sees those above one half as spikes.

    Example:
        >>> from brainleaks.networks import ConvNet
        >>> network, images = ConvNet((1, 16, 16), 10, kernel=3), torch.rand(1, 1, 16, 16)
        >>> torch.nn.functional.cross_entropy(network(images), torch.tensor([3])).backward()
        >>> gradients = {name: p.grad for name, p in network.named_parameters()}
        >>> target = Target(network, input_shape=(1, 16, 16), classes=10)
        >>> recovered = GradientMatching(iterations=20)(target, TrainingStep(gradients, 1, 1))
        >>> tuple(recovered.inputs.shape), recovered.labels.tolist()
        ((1, 1, 16, 16), [3])
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "recovered-batch"
    version: ClassVar[int] = 1

    distance: Literal["cosine", "euclidean"] = "cosine"
    total_variation: Annotated[float, Ge(0)] = 0.1
    signed: bool = True
    iterations: Annotated[int, Ge(1)] = 600
    learning_rate: Annotated[float, Gt(0)] = 0.05
    restarts: Annotated[int, Ge(1)] = 1
    unknown: Literal["picture", "spikes"] = "picture"
    attack: Literal["gradient-matching"] = "gradient-matching"

    def __call__(
        self,
        target: Target,
        step: TrainingStep,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Recovered:
        """The batch of a training step.

        Raises:
            AccessError: if the target grants too little.
            InputError: if the batch size is not known, or the gradients are not the network's.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        if step.vectors is None:
            raise InputError(
                "the training step: its batch size is not known; gradient-matching needs it."
            )
        match = _Match(self, target, step)
        seed, monitor = draw_seed(generator), monitor or Monitor()
        state = {"best": match.start(seed, 0), "least": torch.tensor(torch.inf)}
        state = monitor.resume(state | _fresh(state["best"]))
        for i in monitor.remaining(self.restarts * self.iterations):
            restart, iteration = divmod(i, self.iterations)
            if restart and not iteration:
                state |= _fresh(match.start(seed, restart))
            distance, gradient = match.ask(state["unknown"])
            if distance < float(state["least"]):
                state |= {"best": state["unknown"], "least": torch.tensor(distance)}
            rate = self.learning_rate * 0.1 ** sum(iteration >= d * self.iterations for d in _DROPS)
            way = gradient.sign() if self.signed else gradient
            moved, moments = adam(state["unknown"], way, state["moments"], iteration, rate)
            state |= {"unknown": moved.clamp(0, 1), "moments": moments}
            monitor.advance(i, state, distance=distance)
        inputs = match.inputs(state["best"])
        return Recovered(
            inputs=inputs.bool() if match.searches_spikes else inputs.contiguous(),
            labels=match.labels,
            exact=torch.zeros(step.time_steps or 1, len(match.labels), dtype=torch.bool),
            loose=torch.zeros(0, *target.input_shape, dtype=torch.bool),
            rank=torch.tensor(0),
        )


def _fresh(unknown: Tensor) -> dict[str, Tensor]:
    return {"unknown": unknown, "moments": torch.zeros(2, *unknown.shape).to(unknown)}


class _Match:
    """The gradient that was seen, and how far that of other inputs is from it."""

    def __init__(self, attack: GradientMatching, target: Target, step: TrainingStep) -> None:
        self._attack, self._target, self._checked = attack, target, False
        self._size, self._steps = step.batch_size or 1, step.time_steps or 1
        # a training step is taken in training mode: batch norm sees the batch
        self._network = copy.deepcopy(target.network).train().requires_grad_(requires_grad=True)
        named = step.of_network(self._network)
        self._weights = [self._network.get_parameter(name) for name in named]
        self._seen = [gradient.to(target.device) for gradient in named.values()]
        self._length = torch.stack([g.square().sum() for g in self._seen]).sum()
        shape = (self._size, *target.input_shape)
        noise = torch.rand(shape, generator=stream(0, "labels")).to(target.device)
        self.labels = counted(self._network, step, self._given(noise), self._size)

    @property
    def searches_spikes(self) -> bool:
        """Whether the unknown is one of spikes."""
        return self._target.spiking and self._attack.unknown == "spikes"

    def start(self, seed: int, restart: int) -> Tensor:
        """Where a search starts: grey, with noise."""
        time = (self._steps,) if self.searches_spikes else ()
        shape = (*time, self._size, *self._target.input_shape)
        noise = torch.randn(shape, generator=stream(seed, "restart", restart))
        return (0.5 + _SPREAD * noise).clamp(0, 1).to(self._target.device)

    def inputs(self, unknown: Tensor) -> Tensor:
        """What the network is given, with the unknown's gradient passed through spikes."""
        if not self.searches_spikes:
            return self._given(unknown)
        return unknown + ((unknown > 0.5).to(unknown) - unknown).detach()

    def _given(self, picture: Tensor) -> Tensor:
        return picture.expand(self._steps, *picture.shape) if self._target.spiking else picture

    def ask(self, unknown: Tensor) -> tuple[float, Tensor]:
        """How far the gradient is from the one that was seen, and where it would be nearer."""
        unknown = unknown.detach().requires_grad_()
        distance = self._distance(self._made(unknown))
        pictures = unknown.mean(0) if self.searches_spikes else unknown
        rough = total_variation(pictures).sum() / pictures.numel()
        (gradient,) = torch.autograd.grad(distance + self._attack.total_variation * rough, unknown)
        return float(distance.detach()), gradient

    def _made(self, unknown: Tensor) -> tuple[Tensor, ...]:
        """The gradients that an unknown would have, as functions of it."""
        response = respond(self._network, self.inputs(unknown))
        loss = summed_loss(response, self.labels).mean()
        made = torch.autograd.grad(loss, self._weights, create_graph=True)
        if not self._checked and _broken(made):
            raise InputError(
                "the network cannot be differentiated twice, as gradient-matching does: one of its "
                "operators has no second derivative. Convolutional networks of this package have."
            )
        self._checked = True
        return made

    def _distance(self, made: Sequence[Tensor]) -> Tensor:
        pairs = list(zip(made, self._seen, strict=True))
        if self._attack.distance == "euclidean":
            return torch.stack([(m - s).square().sum() for m, s in pairs]).sum()
        along = torch.stack([(m * s).sum() for m, s in pairs]).sum()
        length = torch.stack([m.square().sum() for m in made]).sum()
        return 1 - along / (length * self._length).sqrt()


def _broken(tensors: Sequence[Tensor]) -> bool:
    """Whether a graph has a node that torch put there to refuse a second derivative.

    It would be refused on that path alone, and left out silently where there are others.
    """
    left, seen = [tensor.grad_fn for tensor in tensors], set[Any]()
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        if type(node).__name__ == "Error":
            return True
        seen.add(node)
        left += [before for before, _ in node.next_functions]
    return False
