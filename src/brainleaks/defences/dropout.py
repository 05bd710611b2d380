"""Hidden neurons that are left out at random while the network learns."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.defences.defence import Acts
from brainleaks.defences.hidden import hidden_neurons, readers
from brainleaks.training import TrainingLoop


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Dropout:
    """Silence each hidden neuron at random for a whole sample, and strengthen the others.

    What remains is divided by ``1 - share``. A neuron of a spiking network is silent for all time
    steps of a sample. Once trained, the network has all its neurons.

    Args:
        share: of the hidden neurons, in (0, 1), that are silenced on average.

    Reference: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout", JMLR 2014;
    the same neurons in all time steps: Lee, Sarwar, Panda, Srinivasan and Roy, "Enabling
    spike-based backpropagation for training deep neural network architectures", Frontiers in
    Neuroscience 2020, section 2.3.
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "training"

    share: Annotated[float, Gt(0), Lt(1)] = 0.5
    name: Literal["dropout"] = "dropout"

    def __call__(self, loop: TrainingLoop) -> None:
        """Silence hidden neurons in every forward pass of the training."""

        def kept(values: Tensor) -> Tensor:
            drawn = torch.rand(values.shape, generator=loop.noise, device=values.device)
            return (drawn >= self.share) / (1 - self.share)

        def of_neurons(layer: nn.Module, arguments: Any, output: tuple[Tensor, Tensor]) -> Any:
            spikes, membrane = output
            return (spikes * kept(spikes[0]), membrane) if layer.training else None

        def of_reader(layer: nn.Module, arguments: tuple[Tensor]) -> Any:
            (values,) = arguments
            return (values * kept(values),) if layer.training else None

        neurons = hidden_neurons(loop.network)
        for hidden in neurons:
            loop.on_forward(hidden, of_neurons)
        for reader in [] if neurons else readers(loop):
            loop.on_forward(reader, of_reader, before=True)
