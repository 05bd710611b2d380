"""Tracing: the chain of layers of a network, recorded while it runs.

A network's forward pass is anyone's code: it loops over time or not, flattens, pools by functions.
So what each layer takes and gives is recorded while a few samples go through, and the layers are
put in order by it: what one takes must be, to the last bit, what another gave, flattened or pooled
if need be. Whatever else happens between two layers shows, and the network is left as it is. That
the chain is the network is then proved on the user's own samples, not here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.adapters.layers import Affine, BatchNorm, CannotLower, Pool
from brainleaks.adapters.lower import Neuron

# by name, for frameworks have their own; what they do, nothing in eval mode or flattening, shows in
# what the next layer takes
_TRANSPARENT = ("Flatten", "Unflatten", "Identity", "Dropout", "Dropout1d", "Dropout2d")
_LARGEST_POOL = 8


@dataclass
class Watched:
    """A layer with its recorded inputs and outputs; ``turns`` numbers the calls."""

    name: str
    layer: nn.Module
    taken: list[Tensor] = field(default_factory=list)
    given: list[Tensor] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)


def watch(
    module: nn.Module, is_neuron: Callable[[nn.Module], bool], ask: Callable[[], Any]
) -> list[Watched]:
    """The layers that ran while ``ask`` was called, in the order of their first call."""
    order: dict[str, Watched] = {}
    turns = count()

    def watching(name: str) -> Any:
        def note(layer: nn.Module, inputs: Any, output: Any) -> None:
            seen = order.setdefault(name, Watched(name, layer))
            first = output[0] if isinstance(output, tuple) else output
            if inputs and isinstance(inputs[0], Tensor) and isinstance(first, Tensor):
                seen.taken.append(inputs[0].detach().clone())
                seen.given.append(first.detach().clone())
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


def chain(watched: list[Watched], framework: ModuleType, samples: Tensor) -> Any:
    """Put the layers in order.

    Args:
        watched: from :func:`watch`, of these samples.
        framework: the adapter that describes neurons.
        samples: ``(T, B, C, H, W)`` or, shown for as long as the network likes, ``(B, C, H, W)``.

    Returns:
        ``(parts, steps)``: layers and :class:`Neuron`, and for how many steps an image is shown
        (``None`` for spike trains).

    Raises:
        CannotLower: if the layers are no chain, or one of them is unknown.
    """
    kept = [seen for seen in watched if type(seen.layer).__name__ not in _TRANSPARENT]
    steps = len(samples) if samples.ndim == 5 else _steps(kept, framework)
    batch = samples.shape[-4]
    trace = samples if samples.ndim == 5 else samples.expand(steps, *samples.shape)
    parts: list[nn.Module | Neuron] = []
    before = "the input"
    uses = [use for seen in kept for use in _uses(seen, framework, steps, batch)]
    for seen in sorted(uses, key=lambda use: use.turns[0]):
        taken = _over_time(seen.name, seen.taken, steps, batch)
        try:
            parts += _between(trace, taken)
        except CannotLower as reason:
            raise CannotLower(f"between {before} and {seen.name}, {reason}") from None
        parts.append(_part(seen, framework))
        trace = _over_time(seen.name, seen.given, steps, batch)
        before = seen.name
    return parts, steps if samples.ndim == 4 else None


def _layers(
    module: nn.Module, is_neuron: Callable[[nn.Module], bool], prefix: str = ""
) -> Iterator[tuple[str, nn.Module]]:
    """The modules that are layers: neurons, and modules without children."""
    if is_neuron(module) or not any(True for _ in module.children()):
        yield prefix or type(module).__name__, module
        return
    for name, child in module.named_children():
        yield from _layers(child, is_neuron, f"{prefix}.{name}" if prefix else name)


def _uses(seen: Watched, framework: ModuleType, steps: int, batch: int) -> list[Watched]:
    """The uses of a layer that the chain contains several times, such as one pooling."""
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
        )
        for place in range(places)
    ]


def _part(seen: Watched, framework: ModuleType) -> nn.Module | Neuron:
    if framework.is_neuron(seen.layer):
        try:
            neuron: Neuron = framework.describe(seen.layer)
        except CannotLower as reason:
            raise CannotLower(f"{seen.name}: {reason}") from None
        return neuron
    if isinstance(seen.layer, Affine | Pool | BatchNorm):
        return seen.layer
    kind = type(seen.layer).__name__
    raise CannotLower(f"{seen.name} is a {kind}, which cannot be lowered")


def _steps(watched: list[Watched], framework: ModuleType) -> int:
    """The number of time steps of a network that takes images."""
    for seen in watched:
        if framework.is_neuron(seen.layer) and seen.taken:
            whole = len(seen.taken) == 1 and not framework.makes_one_step(seen.layer)
            return len(seen.taken[0]) if whole else len(seen.taken)
    raise CannotLower("it has no spiking neurons")


def _over_time(name: str, calls: list[Tensor], steps: int, batch: int) -> Tensor:
    """The recorded inputs or outputs of a layer as ``(T, B, ...)``."""
    first = calls[0]
    if len(calls) == steps and len(first) == batch:
        return torch.stack(calls)
    if len(calls) == 1:
        if first.shape[:2] == (steps, batch):
            return first
        if len(first) == steps * batch:
            return torch.as_tensor(first.unflatten(0, (steps, batch)))
        if len(first) == batch:  # an image's current, computed once and shown at every step
            return first.expand(steps, *first.shape)
    raise CannotLower(f"{name} is called {len(calls)} times in {steps} time steps")


def _between(before: Tensor, after: Tensor) -> list[nn.Module]:
    """The flattening and pooling that make ``after`` of ``before``, both ``(T, B, ...)``."""
    rows, wanted = before.flatten(0, 1), after.flatten(0, 1)
    found = [layers for layers in _guesses(rows.ndim) if _makes(layers, rows, wanted)]
    if not found:
        raise CannotLower("an operation other than flattening or pooling takes place")
    if len(found) > 1 and found[0]:
        raise CannotLower("the samples do not determine which pooling takes place")
    return found[0]


def _guesses(ndim: int) -> list[list[nn.Module]]:
    """Flattening and pooling in their order of simplicity; pooling is of images alone."""
    plain: list[list[nn.Module]] = [[], [nn.Flatten()]] if ndim > 2 else [[]]
    if ndim != 4:
        return plain
    pools = [
        kind(size) for size in range(2, _LARGEST_POOL + 1) for kind in (nn.MaxPool2d, nn.AvgPool2d)
    ]
    return plain + [[pool, *rest] for pool in pools for rest in ([], [nn.Flatten()])]


def _makes(layers: list[nn.Module], rows: Tensor, wanted: Tensor) -> bool:
    for layer in layers:
        size = getattr(layer, "kernel_size", 1)
        if min(rows.shape[2:], default=1) < size:
            return False
        rows = layer(rows)
    return torch.equal(rows, wanted)
