"""Hidden activations that depend little on the inputs and much on the classes."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.defences.defence import Acts
from brainleaks.defences.hidden import readers
from brainleaks.training import Batch, TrainingLoop


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class BiDO:
    """Add ``to_inputs sum_j HSIC(x, z_j) - to_classes sum_j HSIC(y, z_j)`` to the loss.

    ``z_j`` are the hidden activations that the fully connected layers read. Inputs ``x`` and spikes
    are averaged over time; ``y`` are the targets. The Hilbert-Schmidt independence criterion is 0
    for independent variables.

    Args:
        to_inputs: the price of dependence on the inputs.
        to_classes: the reward for dependence on the classes.

    Reference: Peng, Liu, Zhang, Lan, Ye, Liu and Han, "Bilateral dependency optimization: defending
    against model-inversion attacks", KDD 2022, arXiv 2206.05483, equation 5.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    to_inputs: Annotated[float, Ge(0), Le(1000)] = 1.0
    to_classes: Annotated[float, Ge(0), Le(1000)] = 1.0
    name: Literal["bido"] = "bido"

    def __call__(self, loop: TrainingLoop) -> None:
        """Add the dependence to the loss of every batch."""
        spiking = bool(loop.network.spiking)
        shown: list[Batch] = []
        hidden: list[Tensor] = []

        def watch(layer: nn.Module, arguments: tuple[Tensor]) -> None:
            if layer.training:
                hidden.append(arguments[0])

        def note(batch: Batch) -> Batch:
            shown[:] = [batch]
            return batch

        def dependence() -> Tensor:
            (batch,) = shown
            size = len(batch.targets)
            x = (batch.inputs.mean(0) if spiking else batch.inputs).flatten(1)
            y = batch.probabilities(loop.classes)
            over_time = [z.reshape(-1, size, z.shape[-1]).mean(0) for z in hidden]
            hidden.clear()
            costs = [self.to_inputs * hsic(x, z) - self.to_classes * hsic(y, z) for z in over_time]
            return torch.stack(costs).sum()

        for layer in readers(loop):
            loop.on_forward(layer, watch, before=True)
        loop.transforms.append(note)
        loop.penalties.append(dependence)
        loop.per_sample = False


def hsic(first: Tensor, second: Tensor) -> Tensor:
    """The biased estimate of the criterion, ``tr(K H L H) / (n - 1)^2``, of ``n`` samples.

    Gaussian kernels ``exp(-|a - b|^2 / (2 s^2))`` of width ``s^2 = 25 d`` for ``d`` values a
    sample, as in the reference's code.

    Args:
        first: ``(n, D)``.
        second: ``(n, E)``.

    Reference: Gretton, Bousquet, Smola and Schoelkopf, "Measuring statistical dependence with
    Hilbert-Schmidt norms", ALT 2005, equation 9.
    """
    count = len(first)
    if count < 2:
        return (first.sum() + second.sum()) * 0
    centred = _kernel(first) - _kernel(first).mean(0)
    other = _kernel(second) - _kernel(second).mean(0)
    # the trace of a product of two centred matrices
    return (centred * other.T).sum() / (count - 1) ** 2


def _kernel(values: Tensor) -> Tensor:
    squares = values.square().sum(1)
    distances = (squares[:, None] + squares - 2 * values @ values.T).clamp_min(0)
    return (-distances / (2 * 25 * values.shape[1])).exp()
