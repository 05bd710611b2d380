"""What a device sends in federated learning: a gradient, or what local training changed."""

import copy
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.networks import respond
from brainleaks.training.loss import summed_cross_entropy


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class LocalTraining:
    """How a device trains before it sends an update (FedAvg; McMahan et al. 2017).

    Args:
        epochs: passes over the device's samples. Behind a rate code, each draws new spikes.
        batch_size: samples a step; ``None`` takes all of the device's at once.
        learning_rate: of each step.
        optimizer: ``"sgd"``, or ``"adam"`` with betas (0.9, 0.999).
    """

    epochs: Annotated[int, Ge(1), Le(1000)] = 1
    batch_size: Annotated[int, Ge(1)] | None = None
    learning_rate: Annotated[float, Gt(0)] = 1e-3
    optimizer: Literal["sgd", "adam"] = "sgd"


def gradients(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The gradient of a batch's mean loss, by the names of the network's parameters.

    Args:
        network: stays as it is.
        inputs: as the network takes them, ``(T, B, ...)`` or ``(B, ...)``.
        labels: ``(B,)``.
    """
    trained = _copy(network)
    summed_cross_entropy(respond(trained, inputs), labels).backward()
    return {n: p.grad for n, p in trained.named_parameters() if p.grad is not None}


def update(
    network: nn.Module,
    passes: Sequence[Tensor],
    labels: Tensor,
    local: LocalTraining,
    *,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The weights before local training less those after, over the learning rate and the steps.

    Of SGD that is the mean of the steps' gradients, up to the rounding of the weights.

    Args:
        network: stays as it is.
        passes: the inputs of each epoch, ``(T, B, ...)`` or ``(B, ...)``.
        labels: ``(B,)``.
        local: how the device trains.
        generator: draws the order of samples, if a step takes some of them.
    """
    trained, axis = _copy(network), 1 if network.spiking else 0
    parameters = dict(trained.named_parameters())
    made = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[local.optimizer]
    optimizer, steps = made(parameters.values(), local.learning_rate), 0
    for inputs in passes:
        order = torch.randperm(len(labels), generator=generator)
        for batch in order.split(local.batch_size or len(labels)):
            some = batch.sort().values.to(labels.device)
            optimizer.zero_grad()
            response = respond(trained, inputs.index_select(axis, some))
            summed_cross_entropy(response, labels[some]).backward()
            optimizer.step()
            steps += 1
    before, scale = dict(network.named_parameters()), local.learning_rate * steps
    return {n: (before[n] - p).detach() / scale for n, p in parameters.items()}


def _copy(network: nn.Module) -> nn.Module:
    copied = copy.deepcopy(network).train().requires_grad_(requires_grad=True)
    copied.zero_grad()
    return copied
