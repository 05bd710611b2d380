"""Training: one recipe for every network (PROTOCOL, Training)."""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from brainleaks.data.dataset import Samples
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor, State
from brainleaks.networks import Readout, Response, respond, respond_in_pieces
from brainleaks.randomness import draw_seed, stream

#: Turns images ``(B, C, H, W)`` into what the network takes, drawing from the generator.
Encode = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Recipe:
    """Adam, betas (0.9, 0.999), on the cross-entropy of the output summed over time.

    Args:
        learning_rate: Adam's step size.
        batch_size: samples a step.
        epochs: passes over the training set.
        gradient_clip: largest norm of the whole gradient; ``None`` leaves it alone.
    """

    learning_rate: Annotated[float, Gt(0)]
    batch_size: Annotated[int, Ge(1)]
    epochs: Annotated[int, Ge(1)]
    gradient_clip: Annotated[float, Gt(0)] | None = None


def fit(
    network: nn.Module,
    samples: Samples,
    recipe: Recipe,
    *,
    encode: Encode,
    generator: torch.Generator,
    readout: Readout = "membrane",
    monitor: Monitor | None = None,
) -> None:
    """Train ``network`` in place.

    Each epoch reports its loss and the accuracy of what ``readout`` reads, as the network stood at
    each batch. Order and encoding are drawn again each epoch, from streams of the generator's next
    seed: an interrupted training goes on with the numbers that it would have had.

    Raises:
        InputError: if the loss is no longer finite.
    """
    monitor = monitor or Monitor()
    seed = draw_seed(generator)
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate, fused=True)
    restore(network, optimiser, monitor.resume(state_of(network, optimiser)))
    network.train()
    for epoch in monitor.remaining(recipe.epochs):
        order = torch.randperm(len(samples.labels), generator=stream(seed, "order", epoch))
        noise = stream(seed, "encoding", epoch, device=device)
        totals = []
        for batch in order.split(recipe.batch_size):
            inputs = encode(samples.inputs[batch].to(device), noise)
            labels = samples.labels[batch].to(device)
            totals.append(_step(network, optimiser, recipe, inputs, labels, readout))
        loss, correct = (torch.stack(totals).sum(0) / len(order)).tolist()
        if not math.isfinite(loss):
            raise InputError(
                f"training diverged: the loss is {loss} after epoch {epoch + 1}. Lower "
                "learning_rate, or clip the gradient."
            )
        monitor.advance(epoch, state_of(network, optimiser), loss=loss, accuracy=correct)
    network.eval()


@torch.no_grad()
def accuracy(
    network: nn.Module,
    samples: Samples,
    *,
    encode: Encode,
    readout: Readout,
    generator: torch.Generator,
    batch_size: int = 50,
) -> float:
    """Share of samples whose own class is the argmax of the read-out summed over time.

    Recordings are padded with silence to the longest of their batch of ``batch_size``, and the
    membrane is summed over the silence as well, as in training.
    """
    device = next(network.parameters()).device
    noise = stream(draw_seed(generator), "encoding", device=device)
    correct = 0
    for batch in torch.arange(len(samples.labels)).split(batch_size):
        inputs = encode(samples.inputs[batch].to(device), noise)
        response = respond_in_pieces(network, inputs)
        correct += int((_prediction(response, readout).cpu() == samples.labels[batch]).sum())
    return correct / len(samples.labels)


def summed_cross_entropy(response: Response, labels: Tensor) -> Tensor:
    """Cross-entropy of ``U[t]``, summed over time, mean over the batch."""
    steps, batch = response.membrane.shape[:2]
    trace = response.membrane.flatten(0, 1)
    return functional.cross_entropy(trace, labels.repeat(steps), reduction="sum") / batch


def _step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    inputs: Tensor,
    labels: Tensor,
    readout: Readout,
) -> Tensor:
    """One step; the batch's loss times its size, and how many of its samples are named rightly."""
    optimiser.zero_grad()
    response = respond(network, inputs)
    loss = summed_cross_entropy(response, labels)
    loss.backward()
    if recipe.gradient_clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
    optimiser.step()
    with torch.no_grad():
        correct = (_prediction(response, readout) == labels).sum()
        return torch.stack([loss * len(labels), correct.to(loss.dtype)])


def _prediction(response: Response, readout: Readout) -> Tensor:
    if readout == "spikes" and response.spikes is not None:
        return response.spikes.sum(0).argmax(1)
    return response.membrane.sum(0).argmax(1)


def state_of(network: nn.Module, optimiser: torch.optim.Adam) -> State:
    """Weights and Adam's memory, by name, as tensors that the next step changes in place."""
    state = {f"weights.{name}": p.detach() for name, p in network.named_parameters()}
    for name, p in network.named_parameters():
        for key, value in optimiser.state[p].items():
            state[f"adam.{key}.{name}"] = value
    return state


def restore(network: nn.Module, optimiser: torch.optim.Adam, state: State) -> None:
    """Put back what :func:`state_of` gave."""
    for name, p in network.named_parameters():
        p.data.copy_(state[f"weights.{name}"])
        for key in ("step", "exp_avg", "exp_avg_sq"):
            value = state.get(f"adam.{key}.{name}")
            if value is not None:
                # Adam walks raw memory: its moments must lie as the weights do
                moment = value.clone() if key == "step" else torch.empty_like(p).copy_(value)
                optimiser.state[p][key] = moment
