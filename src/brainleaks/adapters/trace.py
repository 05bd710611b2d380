"""Tracing: what each layer of a network takes and gives, recorded while it runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.adapters.kept import tensors_of
from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.order import Order


@dataclass
class Watched:
    """A layer with its recorded inputs and outputs; ``turns`` numbers the calls.

    ``given`` holds all tensors of each answer, and ``states`` what the first call passed besides
    the input.
    """

    name: str
    layer: nn.Module
    taken: list[Tensor] = field(default_factory=list)
    given: list[list[Tensor]] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    states: tuple[Any, ...] = ()


def watch(
    module: nn.Module, is_neuron: Callable[[nn.Module], bool], ask: Callable[[], Any]
) -> list[Watched]:
    """The layers that ran while ``ask`` was called, in the order of their first call."""
    order: dict[str, Watched] = {}
    turns = count()

    def watching(name: str) -> Any:
        def note(layer: nn.Module, inputs: Any, output: Any) -> None:
            seen = order.setdefault(name, Watched(name, layer))
            given = tensors_of(output)
            if inputs and isinstance(inputs[0], Tensor) and given:
                seen.states = seen.states if seen.taken else tuple(inputs[1:])
                seen.taken.append(inputs[0].detach().clone())
                seen.given.append([tensor.detach().clone() for tensor in given])
                seen.turns.append(next(turns))

        return note

    layers = {part: name for name, part in _layers(module, is_neuron)}
    hooks = [part.register_forward_hook(watching(name)) for part, name in layers.items()]
    try:
        with torch.no_grad():
            ask()
    finally:
        for hook in hooks:
            hook.remove()
    return list(order.values())


def uses(seen: Watched, framework: ModuleType, steps: int, batch: int) -> list[Watched]:
    """The uses of a layer that runs at several places, such as one pooling.

    Raises:
        CannotLower: if the layer maps no tensor, or neurons are used twice.
    """
    calls = len(seen.taken)
    if not calls:
        raise CannotLower(f"{seen.name} does not map one tensor to another")
    by_step = calls % steps == 0 and all(len(taken) == batch for taken in seen.taken)
    places = calls // steps if by_step else calls
    if places > 1 and framework.is_neuron(seen.layer):
        raise CannotLower(f"{seen.name} is called {calls} times in {steps} time steps")
    return [
        Watched(
            seen.name,
            seen.layer,
            seen.taken[place::places],
            seen.given[place::places],
            seen.turns[place::places],
            seen.states,
        )
        for place in range(places)
    ]


def parts_of(module: nn.Module) -> list[nn.Module]:
    """A module and all within it, also where it means something else by ``modules()``."""
    return [part for _, part in module.named_modules()]


def steps_of(watched: list[Watched], framework: ModuleType) -> int:
    """The number of time steps of a network that takes images.

    Raises:
        CannotLower: if it has no neurons.
    """
    for seen in watched:
        if framework.is_neuron(seen.layer) and seen.taken:
            whole = len(seen.taken) == 1 and not framework.makes_one_step(seen.layer)
            return len(seen.taken[0]) if whole else len(seen.taken)
    raise CannotLower("it has no spiking neurons")


def over_time(name: str, calls: list[Tensor], steps: int, batch: int, order: Order) -> Tensor:
    """The recorded inputs or outputs of a layer as ``(T, B, ...)``.

    Raises:
        CannotLower: if they are no trace of all time steps.
    """
    first = calls[0]
    if len(calls) == steps and len(first) == batch:
        return torch.stack(calls)
    if len(calls) == 1:
        for form in (order.apart, order.together):
            if (trace := form.take(first, steps, batch)) is not None:
                return trace
        if len(first) == batch:  # an image's current, computed once and shown at every step
            return first.expand(steps, *first.shape)
    raise CannotLower(f"{name} is called {len(calls)} times in {steps} time steps")


def _layers(
    module: nn.Module, is_neuron: Callable[[nn.Module], bool], prefix: str = ""
) -> Iterator[tuple[str, nn.Module]]:
    """The modules that are layers: neurons, and modules without children."""
    if is_neuron(module) or not any(True for _ in module.children()):
        yield prefix or type(module).__name__, module
        return
    for name, child in module.named_children():
        yield from _layers(child, is_neuron, f"{prefix}.{name}" if prefix else name)
