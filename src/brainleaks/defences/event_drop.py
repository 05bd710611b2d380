"""Training on samples that lack some of their spikes."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from brainleaks.defences.defence import Acts
from brainleaks.errors import InputError
from brainleaks.training import Batch, TrainingLoop


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class EventDrop:
    """Drop each input spike of a training sample at random, drawn again each time it is shown.

    Args:
        share: of the spikes, in (0, 1), that are dropped on average.

    Reference: Gu, Sng, Hu and Yu, "EventDrop: data augmentation for event-based learning", IJCAI
    2021, arXiv 2106.05836, section 3.2 (random drop).
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    share: Annotated[float, Gt(0), Lt(1)] = 0.3
    name: Literal["event-drop"] = "event-drop"

    def __call__(self, loop: TrainingLoop) -> None:
        """Drop spikes of every batch.

        Raises:
            InputError: if the network does not take spikes.
        """
        if not loop.network.spiking:
            raise InputError(
                "defences: event-drop drops spikes, and this network takes images; leave it out, "
                "or use mixup."
            )

        def dropped(batch: Batch) -> Batch:
            drawn = torch.rand(batch.inputs.shape, generator=loop.noise, device=loop.device)
            return batch._replace(inputs=batch.inputs * (drawn >= self.share))

        loop.transforms.append(dropped)
