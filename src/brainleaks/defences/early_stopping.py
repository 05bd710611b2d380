"""Training that ends before the network overfits."""

import math
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from brainleaks.data.dataset import Samples
from brainleaks.data.parts import select
from brainleaks.defences.defence import Acts
from brainleaks.networks import respond_in_pieces
from brainleaks.randomness import stream
from brainleaks.training import TrainingLoop, summed_cross_entropy


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class EarlyStopping:
    """Stop when the loss on samples that were set aside has not fallen for some epochs.

    The network keeps the weights of the epoch with the smallest such loss. Membership attacks count
    the samples that were set aside as members: they decided when training ended.

    Args:
        patience: epochs without a smaller loss before training ends.
        share: of the training set, in (0, 1), that is set aside.

    Reference: Prechelt, "Early stopping -- but when?", 1998, criterion UP.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    patience: Annotated[int, Ge(1)] = 3
    share: Annotated[float, Gt(0), Lt(1)] = 0.1
    name: Literal["early-stopping"] = "early-stopping"

    def __call__(self, loop: TrainingLoop) -> None:
        """Set samples aside, and look at their loss after each epoch."""
        count = len(loop.samples.labels)
        order = torch.randperm(count, generator=stream(loop.seed, "set aside"))
        aside = torch.zeros(count, dtype=torch.bool)
        aside[order[: max(1, math.floor(self.share * count))]] = True
        watched, loop.samples = select(loop.samples, aside), select(loop.samples, ~aside)
        loop.per_sample = False
        loop.kept |= {"best loss": torch.tensor(math.inf), "best epoch": torch.tensor(0)}
        loop.kept |= _weights(loop)
        loop.after_epoch.append(partial(self._ends, loop, watched))

    def _ends(self, loop: TrainingLoop, watched: Samples, epoch: int) -> bool:
        loss = _loss(loop, watched)
        if loss < loop.kept["best loss"]:
            loop.kept |= {"best loss": loss, "best epoch": torch.tensor(epoch + 1)}
            loop.kept |= _weights(loop)
        best = int(loop.kept["best epoch"])
        ends = epoch + 1 - best >= self.patience
        if ends or epoch + 1 == loop.recipe.epochs:
            with torch.no_grad():
                for name, tensor in loop.network.state_dict().items():
                    tensor.copy_(loop.kept[f"best.{name}"])
            loop.facts[self.name] = {"epochs": best}
        return ends


def _weights(loop: TrainingLoop) -> dict[str, torch.Tensor]:
    return {f"best.{name}": t.detach().clone() for name, t in loop.network.state_dict().items()}


@torch.no_grad()
def _loss(loop: TrainingLoop, samples: Samples) -> torch.Tensor:
    """The mean loss on samples, as the network is used after training."""
    noise = stream(loop.seed, "encoding of what is set aside", device=loop.device)
    total = torch.zeros(())
    loop.network.eval()
    for places in torch.arange(len(samples.labels)).split(loop.recipe.batch_size):
        inputs = loop.encode(samples.inputs[places].to(loop.device), noise)
        response = respond_in_pieces(loop.network, inputs)
        labels = samples.labels[places].to(loop.device)
        total += summed_cross_entropy(response, labels).cpu() * len(places)
    loop.network.train()
    return total / len(samples.labels)
