"""What a foreign architecture learns when it is trained anew: read off, and put back."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from brainleaks.errors import InputError, option
from brainleaks.networks.views import OfClasses
from brainleaks.neuron import LIF

_NEURON = " neuron"


def fill(network: nn.Module, learned: nn.Module, recipe: str) -> None:
    """Give a network the values of one that the user's recipe trained.

    Raises:
        InputError: if their architectures differ.
    """
    inner = network.network if isinstance(network, OfClasses) else network
    own, found = state(inner), state(learned)
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    others = {name: tuple(tensor.shape) for name, tensor in found.items()}
    if unlike := sorted(shapes.items() ^ others.items()):
        name = unlike[0][0]
        raise InputError(
            f"the recipe {recipe} returns another architecture than the model's: {name} is "
            f"{others.get(name, 'missing')} instead of {shapes.get(name, 'absent')}."
        )
    restore(inner, found | constants(learned))


def too_little(found: float, least: float, known: str) -> str:
    """That networks which were retrained on ``known`` of the classes recognise too little."""
    return (
        f"the target's architecture, retrained on {known} of the classes, recognises {found:.2f} "
        f"of their test samples, and {least:.2f} are needed to stand for it: train it longer "
        f"({option('set', 'target.training.epochs=...')}) or by your own recipe "
        f"({option('recipe')})"
    )


def state(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer that is a plain tensor, by name."""
    parameters = {name: p.detach() for name, p in network.named_parameters()}
    return parameters | {name: b for name, b in network.named_buffers() if b is not None}


def constants(network: nn.Module) -> dict[str, Tensor]:
    """The leak and the threshold of each layer of neurons, which a recipe may learn."""
    layers = [(name, m) for name, m in network.named_modules() if isinstance(m, LIF)]
    return {f"{name}{_NEURON}": torch.tensor([m.beta, m.threshold]).double() for name, m in layers}


def restore(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Restore trained values, except what a layer remembers of its last input's shape."""
    with torch.no_grad():
        for name, own in state(network).items():
            if name in tensors and tensors[name].shape == own.shape:
                own.copy_(tensors[name])
    for name, layer in network.named_modules():
        if isinstance(layer, LIF) and f"{name}{_NEURON}" in tensors:
            layer.beta, layer.threshold = tensors[f"{name}{_NEURON}"].tolist()
