"""Where a network's hidden activations pass."""

from typing import Any

from torch import Tensor, nn

from brainleaks.networks.weights import first_layer
from brainleaks.neuron import LIF
from brainleaks.training import TrainingLoop


def hidden_neurons(network: nn.Module) -> list[LIF]:
    """The layers of spiking neurons, but the last, which is the output's."""
    return [layer for layer in network.modules() if isinstance(layer, LIF)][:-1]


def readers(loop: TrainingLoop) -> list[nn.Module]:
    """The fully connected layers that read hidden activations rather than inputs."""
    inputs = loop.samples.inputs
    shape: Any = inputs.shape[1:] if isinstance(inputs, Tensor) else inputs.shape
    first = first_layer(loop.network, tuple(shape))
    named = loop.network.named_modules()
    return [layer for name, layer in named if isinstance(layer, nn.Linear) and name != first]
