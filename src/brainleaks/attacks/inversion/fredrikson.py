"""Gradient inversion of an ordinary network."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.objectives import confidence
from brainleaks.monitor import Monitor
from brainleaks.networks import Response
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Fredrikson:
    """Reconstruct images by gradient descent on ``cost = 1 - p_c``.

    Start from a black image, ``x = 0``, and repeat ``x <- x - learning_rate * grad cost``. A class
    stops, keeping the image that it has, when its cost is at most ``threshold``, or has not
    improved on that of the step before for ``patience`` steps running.

    Args:
        iterations: most steps taken.
        learning_rate: step size.
        patience: steps in a row without improvement after which a class stops.
        threshold: cost that is low enough.
        clamp: whether to keep pixels in [0, 1] after each step; MNIST does, AT&T does not.

    Reference: Fredrikson, Jha and Ristenpart, "Model inversion attacks that exploit confidence
    information and basic countermeasures", CCS 2015, Algorithm 1; PROTOCOL, Attacks.

    Example:
        >>> from brainleaks.networks import MLP
        >>> target = Target(MLP((1, 8, 8), 10, hidden=50), input_shape=(1, 8, 8), classes=10)
        >>> images = Fredrikson(iterations=20)(target, torch.arange(10))
        >>> tuple(images.shape)
        (10, 1, 8, 8)
    """

    access: ClassVar[Access] = "gradients"
    spiking: ClassVar[bool] = False
    random: ClassVar[bool] = False
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    iterations: Annotated[int, Ge(1)] = 5000
    learning_rate: Annotated[float, Gt(0)] = 0.1
    patience: Annotated[int, Ge(1)] = 100
    threshold: Annotated[float, Ge(0)] = 0.01
    clamp: bool = False
    attack: Literal["fredrikson"] = "fredrikson"

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Images for the classes ``labels``, ``(len(labels), C, H, W)``; nothing in it is random.

        Raises:
            AccessError: if the target is spiking or does not grant gradients.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        monitor = monitor or Monitor()
        labels = labels.to(target.device)
        images = torch.zeros(len(labels), *target.input_shape, device=target.device)
        state = monitor.resume(
            {
                "images": images,
                "last_cost": images.new_full((len(labels),), float("inf")),
                "waited": images.new_zeros(len(labels)),
                "active": images.new_ones(len(labels)),
            }
        )
        for iteration in monitor.remaining(self.iterations):
            active = state["active"].nonzero().squeeze(1)
            if not len(active):
                break
            state = self._step(target, labels, active, state)
            monitor.advance(iteration, state, cost=float(state["last_cost"].mean()))
        return state["images"]

    def _step(
        self, target: Target, labels: Tensor, active: Tensor, state: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """One step of the classes that have not stopped."""
        state = {name: tensor.clone() for name, tensor in state.items()}
        images = state["images"][active]
        cost, gradient = target.gradient(target.entry(images), labels[active], _cost)
        improved = cost < state["last_cost"][active]
        waited = torch.where(improved, 0.0, state["waited"][active] + 1)
        done = (cost <= self.threshold) | (waited >= self.patience)
        images = torch.where(
            done[:, None, None, None], images, images - self.learning_rate * gradient
        )
        state["images"][active] = images.clamp(0, 1) if self.clamp else images
        state["last_cost"][active] = cost
        state["waited"][active] = waited
        state["active"][active] = (~done).to(images.dtype)
        return state


def _cost(response: Response, labels: Tensor) -> Tensor:
    return 1 - confidence(response, labels)
