"""Error iteration: the private images of an ordinary network's batch, from the gradient."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked
from torch import Tensor, nn

from brainleaks.attacks.gradients.labels import summed_loss
from brainleaks.attacks.gradients.separation import Span, span
from brainleaks.attacks.gradients.step import Recovered, TrainingStep
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.networks import respond
from brainleaks.target import Access, Target

#: A batch is certified if its gradient differs from the one that was seen by less than this share.
_EXPLAINED = 1e-3
#: How often labels are counted again with what the network says of the recovered images.
_COUNTS = 3


@checked(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class ErrorIteration:
    """Alternate between the inputs of a batch and the errors that they cause.

    The gradient of the first layer's weights is ``errors.T @ inputs``. Both are unknown, but the
    inputs lie in the span of its rows, which has as many dimensions as the batch has samples, and
    the errors are a function of the inputs and of their labels. From inputs of zero, the attack
    computes the errors, solves for the inputs by least squares, and repeats. Labels are counted in
    the gradient of the last layer's bias, which is the mean of what the network says less what it
    should say (Geng et al., "Towards general deep leakage in federated learning", 2021).

    Args:
        iterations: how often.

    Example:
        >>> from brainleaks.networks import MLP
        >>> network, images = MLP((1, 8, 8), 10, hidden=100), torch.rand(2, 1, 8, 8)
        >>> nn.functional.cross_entropy(network(images), torch.tensor([3, 5])).backward()
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

    iterations: Annotated[int, Ge(1)] = 200
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
        said = _last_bias(target, step).to(target.device) * search.size
        counted = said.new_full((target.classes,), search.size / target.classes)
        labels, mixture = torch.zeros(0), gradient.new_zeros(search.size, search.size)
        for _ in range(_COUNTS):
            before, labels = labels, _counted(counted - said, search.size)
            if torch.equal(before, labels):
                break
            mixture = search.solved(labels, self.iterations)
            images = (mixture @ search.space.basis.T).unflatten(1, target.input_shape)
            counted = respond(target.network, images).membrane[0].softmax(1).sum(0)
        sure = search.unexplained(mixture, labels) < _EXPLAINED
        return Recovered(
            inputs=(mixture @ search.space.basis.T).unflatten(1, target.input_shape),
            labels=labels,
            exact=torch.full((1, search.size), sure),
            loose=torch.zeros(0, *target.input_shape, dtype=torch.bool),
            rank=torch.tensor(search.space.basis.shape[1]),
        )


@dataclass(frozen=True)
class _Search:
    """The unknown mixture ``(B, B)`` of the span's basis that the inputs are."""

    target: Target
    space: Span
    gradient: Tensor

    @property
    def size(self) -> int:
        return self.space.basis.shape[1]

    def solved(self, labels: Tensor, iterations: int) -> Tensor:
        """The mixture that causes the errors which explain it."""
        seen = self.gradient @ self.space.basis
        mixture = seen.new_zeros(self.size, self.size)
        for i in range(iterations):
            errors = self.errors(mixture, labels)
            better = torch.linalg.lstsq(errors.T.double(), seen.double()).solution.to(seen)
            mixture = mixture + (0.7 if i < iterations // 4 else 0.5) * (better - mixture)
        return mixture

    def errors(self, mixture: Tensor, labels: Tensor) -> Tensor:
        """What these inputs would have the first layer told, ``(B, H)``."""
        images = (mixture @ self.space.basis.T).unflatten(1, self.target.input_shape)
        return self.target.entry_gradient(images, labels, summed_loss) / self.size

    def unexplained(self, mixture: Tensor, labels: Tensor) -> float:
        """How much of the gradient another one would be, relative to it."""
        seen = self.gradient @ self.space.basis
        made = self.errors(mixture, labels).T @ mixture
        return float((made - seen).norm() / seen.norm())


def _counted(wanted: Tensor, size: int) -> Tensor:
    """Labels ``(B,)`` in the order of their classes, from how many of each are wanted."""
    left, chosen = wanted.clone(), []
    for _ in range(size):
        chosen.append(int(left.argmax()))
        left[chosen[-1]] -= 1
    return torch.tensor(sorted(chosen), device=wanted.device)


def _last_bias(target: Target, step: TrainingStep) -> Tensor:
    """The gradient of the bias that the logits end with."""
    linear = [n for n, m in target.network.named_modules() if isinstance(m, nn.Linear)]
    gradient = step.gradients.get(f"{linear[-1]}.bias")
    if gradient is None or len(gradient) != target.classes:
        raise InputError(
            "the training step: there is no gradient of the last layer's bias, by which this "
            "attack counts labels."
        )
    return gradient.detach().float()
