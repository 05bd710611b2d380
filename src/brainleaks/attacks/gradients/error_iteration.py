"""Error iteration: the private images of an ordinary network's batch, from the gradient."""

import copy
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked
from torch import Tensor

from brainleaks.attacks.gradients.labels import last_bias, most_wanted, summed_loss
from brainleaks.attacks.gradients.separation import Span, span
from brainleaks.attacks.gradients.step import Recovered, TrainingStep
from brainleaks.monitor import Monitor
from brainleaks.networks import respond
from brainleaks.target import Access, Target

#: A batch is certified if its gradient differs from the one that was seen by less than this share.
_EXPLAINED = 1e-3
#: How often labels are counted again with what the network says of the recovered images.
_COUNTS = 3
_DAMPING = 0.7
#: Errors of which one is nearly a multiple of another, relative to the largest, are not divided by.
_ALIKE = 3e-2


@checked(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class ErrorIteration:
    """Alternate between the inputs of a batch and the errors that they cause.

    The gradient of the first layer's weights is ``errors.T @ inputs``. Both are unknown, but the
    inputs lie in the span of its rows, which has as many dimensions as the batch has samples, and
    the errors are a function of the inputs and of their labels. From inputs of zero, the attack
    computes the errors, solves for the inputs by least squares, and repeats; L-BFGS then reduces
    what is left, as samples of one class have errors that are much alike. Labels are counted in
    the gradient of the last layer's bias, which is the mean of what the network says less what it
    should say (Geng et al., "Towards general deep leakage in federated learning", 2021).

    Args:
        iterations: how often; L-BFGS takes at most ten times as many.

    Example:
        >>> from brainleaks.networks import MLP
        >>> network, images = MLP((1, 8, 8), 10, hidden=100), torch.rand(2, 1, 8, 8)
        >>> torch.nn.functional.cross_entropy(network(images), torch.tensor([3, 5])).backward()
        >>> step = TrainingStep({name: p.grad for name, p in network.named_parameters()})
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10)
        >>> recovered = ErrorIteration()(target, step)
        >>> recovered.labels.tolist(), bool((recovered.inputs - images).abs().max() < 0.01)
        ([3, 5], True)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool | None] = False
    random: ClassVar[bool] = False
    kind: ClassVar[str] = "recovered-batch"
    version: ClassVar[int] = 1

    iterations: Annotated[int, Ge(1)] = 60
    attack: Literal["error-iteration"] = "error-iteration"

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
            AccessError: if the target grants too little, or is spiking.
            InputError: if the gradient is not one of the target's first layer.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        gradient = step.of_first_layer(target.network, target.input_shape).to(target.device)
        search = _Search(target, span(gradient, step.vectors), gradient)
        said = last_bias(target.network, step)[1].to(target.device) * search.size
        counted = said.new_full((target.classes,), search.size / target.classes)
        labels, images = torch.zeros(0), gradient[:0]
        for _ in range(_COUNTS):
            before, labels = labels, most_wanted(counted - said, search.size)
            if torch.equal(before, labels):
                break
            mixture = search.solved(labels, self.iterations)
            images = search.images(mixture).unflatten(1, target.input_shape)
            counted = respond(target.network, images).membrane[0].softmax(1).sum(0)
        sure = search.unexplained(mixture, labels) < _EXPLAINED
        return Recovered(
            inputs=images,
            labels=labels,
            exact=torch.full((1, search.size), sure),
            loose=torch.zeros(0, *target.input_shape, dtype=torch.bool),
            rank=torch.tensor(search.space.basis.shape[1]),
        )


class _Search:
    """The unknown mixture ``(B, B)`` of the span's basis that the inputs are, in double precision.

    The first layer is linear: it is applied to the basis once, and then to mixtures.
    """

    def __init__(self, target: Target, space: Span, gradient: Tensor) -> None:
        self.space, self.size = space, space.basis.shape[1]
        self._seen = (gradient @ space.basis).double()
        self._network = copy.deepcopy(target.network).double()
        images = space.basis.T.double().unflatten(1, target.input_shape)
        with torch.no_grad():
            self._offset = self._network.drive(torch.zeros_like(images[:1]))
            self._driven = self._network.drive(images) - self._offset

    def solved(self, labels: Tensor, iterations: int) -> Tensor:
        """The mixture that causes the errors which explain it."""
        mixture = self._seen.new_zeros(self.size, self.size)
        for _ in range(iterations):
            errors = self._errors(mixture, labels)
            better = torch.linalg.pinv(errors.T, rtol=_ALIKE) @ self._seen
            mixture = mixture + _DAMPING * (better - mixture)
        return self._refined(mixture, labels, 10 * iterations)

    def _refined(self, mixture: Tensor, labels: Tensor, iterations: int) -> Tensor:
        """Descend what is left of the gradient: samples of one class have errors much alike."""
        noise = torch.Generator(mixture.device).manual_seed(0)
        start = mixture + 1e-2 * mixture.square().mean().sqrt() * torch.randn(
            mixture.shape, generator=noise, dtype=mixture.dtype, device=mixture.device
        )
        unknown = start.requires_grad_()
        descent = torch.optim.LBFGS(
            [unknown],
            max_iter=iterations,
            history_size=50,
            tolerance_grad=1e-14,
            tolerance_change=1e-14,
            line_search_fn="strong_wolfe",
        )

        def left() -> Tensor:
            descent.zero_grad()
            loss = self._difference(unknown, labels, create_graph=True).square()
            loss.backward()
            return loss

        descent.step(left)
        return unknown.detach()

    def unexplained(self, mixture: Tensor, labels: Tensor) -> float:
        """How much of the gradient another one would be, relative to it."""
        return float(self._difference(mixture, labels))

    def images(self, mixture: Tensor) -> Tensor:
        """The inputs ``(B, D)``."""
        return mixture.float() @ self.space.basis.T

    def _difference(self, mixture: Tensor, labels: Tensor, *, create_graph: bool = False) -> Tensor:
        made = self._errors(mixture, labels, create_graph=create_graph).T @ mixture
        share: Tensor = (made - self._seen).norm() / self._seen.norm()
        return share

    def _errors(self, mixture: Tensor, labels: Tensor, *, create_graph: bool = False) -> Tensor:
        """What the first layer would be told of these inputs, ``(B, H)``."""
        entry = mixture @ self._driven + self._offset
        if not create_graph:
            entry = entry.detach().requires_grad_()
        loss = summed_loss(self._network.respond(entry), labels).sum() / self.size
        errors: Tensor = torch.autograd.grad(loss, entry, create_graph=create_graph)[0]
        return errors
