"""Training: one recipe for every network (PROTOCOL, Training)."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from brainleaks.data.dataset import Samples, SpikeTrains
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor, State
from brainleaks.networks import Readout, Response, respond, respond_in_pieces
from brainleaks.randomness import draw_seed, stream
from brainleaks.training.augmentation import crop_and_flip

#: Turns images ``(B, C, H, W)`` into what the network takes, drawing from the generator.
Encode = Callable[[Tensor, torch.Generator], Tensor]


_BUFFER = "buffer "


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Recipe:
    """Adam, betas (0.9, 0.999), on the cross-entropy of the output summed over time.

    Args:
        learning_rate: Adam's step size.
        batch_size: samples a step.
        epochs: passes over the training set; none leave a network as it was drawn.
        gradient_clip: largest norm of the whole gradient; ``None`` leaves it alone.
        schedule: ``"constant"``, or ``"cosine"``: the learning rate falls to nearly 0 along half a
            period of a cosine, step by step (Loshchilov and Hutter 2017, arXiv 1608.03983).
        crop: the largest shift of each training image, in pixels, drawn again each epoch.
        flip: whether each training image is mirrored left to right with probability 1/2.
    """

    learning_rate: Annotated[float, Gt(0)]
    batch_size: Annotated[int, Ge(1)]
    epochs: Annotated[int, Ge(0)]
    gradient_clip: Annotated[float, Gt(0)] | None = None
    # absent where not used: what identifies a training does not change by what it leaves out
    schedule: Annotated[
        Literal["constant", "cosine"], Field(exclude_if=lambda chosen: chosen == "constant")
    ] = "constant"
    crop: Annotated[int, Ge(0), Field(exclude_if=lambda pixels: pixels == 0)] = 0
    flip: Annotated[bool, Field(exclude_if=lambda chosen: not chosen)] = False

    def rate(self, done: float) -> float:
        """The learning rate when a share ``done`` of all steps, in [0, 1), has been made."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2

    @property
    def augments(self) -> bool:
        """Whether training images are shifted or mirrored."""
        return self.crop > 0 or self.flip


def settings(recipe: Recipe) -> dict[str, Any]:
    """A recipe as a study file holds it, without what it does not use."""
    return dict(TypeAdapter(Recipe).dump_python(recipe, mode="json"))


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
        InputError: if the loss is no longer finite, or recordings are to be shifted or mirrored.
    """
    _check_augmentation(samples, recipe)
    monitor = monitor or Monitor()
    seed = draw_seed(generator)
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate, fused=True)
    restore(network, optimiser, monitor.resume(state_of(network, optimiser)))
    network.train()
    for epoch in monitor.remaining(recipe.epochs):
        order = torch.randperm(len(samples.labels), generator=stream(seed, "order", epoch))
        noise = stream(seed, "encoding", epoch, device=device)
        moves = stream(seed, "augmentation", epoch, device=device)
        totals = []
        batches = order.split(recipe.batch_size)
        for i, batch in enumerate(batches):
            optimiser.param_groups[0]["lr"] = recipe.rate(
                (epoch + i / len(batches)) / recipe.epochs
            )
            inputs = samples.inputs[batch].to(device)
            if recipe.augments:
                inputs = crop_and_flip(inputs, recipe.crop, moves, flip=recipe.flip)
            inputs = encode(inputs, noise)
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


def _check_augmentation(samples: Samples, recipe: Recipe) -> None:
    if recipe.augments and isinstance(samples.inputs, SpikeTrains):
        raise InputError(
            "training: crop and flip support images only; leave them out for event recordings."
        )


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
    """Weights, buffers and Adam's memory, by name; the next step changes them in place."""
    state = {f"weights.{name}": p.detach() for name, p in network.named_parameters()}
    for name, p in network.named_parameters():
        for key, value in optimiser.state[p].items():
            state[f"adam.{key}.{name}"] = value
    buffers = {f"{_BUFFER}{name}": b for name, b in network.named_buffers() if b is not None}
    return state | buffers


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
    for name, b in network.named_buffers():
        kept = state.get(f"{_BUFFER}{name}")
        # but what a layer remembers of its last input's shape
        if b is not None and kept is not None and kept.shape == b.shape:
            b.data.copy_(kept)
