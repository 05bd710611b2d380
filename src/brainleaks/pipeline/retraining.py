"""Training a foreign architecture anew."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from brainleaks.data import Samples
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor, State
from brainleaks.networks import Readout
from brainleaks.networks.views import OfClasses
from brainleaks.neuron import LIF
from brainleaks.pipeline import stages
from brainleaks.training import Recipe
from brainleaks.training.fitting import Encode

_BUFFER, _NEURON = "buffer ", " neuron"


def retrain(
    network: nn.Module,
    recipe: Recipe,
    samples: Samples,
    *,
    encode: Encode,
    readout: Readout,
    name: str,
    seed: int,
    monitor: Monitor,
) -> None:
    """Train a network in place, with its buffers in the checkpoints."""
    stages.train(
        network,
        recipe,
        samples,
        encode=encode,
        name=name,
        seed=seed,
        readout=readout,
        monitor=_WithBuffers(monitor, network),
    )


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
        "(--set target.training.epochs=...) or by your own recipe (--recipe)"
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


class _WithBuffers(Monitor):
    """Keeps a network's buffers, such as the averages of batch norm, in its checkpoints too."""

    def __init__(self, monitor: Monitor, network: nn.Module) -> None:
        self._monitor, self._network = monitor, network

    def remaining(self, iterations: int) -> Iterator[int]:
        yield from self._monitor.remaining(iterations)

    def resume(self, start: State) -> State:
        found = self._monitor.resume(start | self._buffers())
        restore(self._network, {k.removeprefix(_BUFFER): v for k, v in found.items()})
        return {name: value for name, value in found.items() if not name.startswith(_BUFFER)}

    def advance(self, iteration: int, state: State, **headline: float) -> None:
        self._monitor.advance(iteration, state | self._buffers(), **headline)

    def _buffers(self) -> State:
        return {f"{_BUFFER}{name}": b for name, b in self._network.named_buffers()}
