"""The graph of a network's layers, found by their values.

A network's forward pass is anyone's code: it loops over time or not, adds branches, pools by
functions. What each layer takes and gives was recorded (:mod:`brainleaks.adapters.trace`), and the
layers are connected by it: what one takes must be, to the last bit, what others gave: one of them,
flattened or pooled if need be, or two of them added, multiplied or concatenated. Whatever else
happens between layers shows, and the network is left as it is. That the graph is the network is
then proved on the user's own samples, not here.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from types import ModuleType
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from brainleaks.adapters.kept import Kept
from brainleaks.adapters.layers import BatchNorm, CannotLower, is_supported
from brainleaks.adapters.lower import Neuron, neuron_of
from brainleaks.adapters.order import TIME_FIRST, Order
from brainleaks.adapters.trace import Watched, over_time, steps_of, uses
from brainleaks.networks import Response

# by name, for frameworks have their own; what they do, nothing in eval mode or flattening, shows in
# what the next layer takes
_TRANSPARENT = (
    "Flatten", "Unflatten", "FlattenTime", "UnflattenTime", "Identity", "Dropout", "Dropout1d",
    "Dropout2d",
)  # fmt: skip
_LARGEST_POOL = 8


class Ref(NamedTuple):
    """A trace: which output of which node; node 0 is the input."""

    node: int
    output: int = 0


class Join(nn.Module):
    """Two traces ``(T, B, ...)`` as one."""

    def __init__(self, how: Literal["add", "multiply", "concatenate"]) -> None:
        super().__init__()
        self.how = how

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        if self.how == "add":
            return first + second
        if self.how == "multiply":
            return first * second
        return torch.cat([first, second], 2)


class Population(nn.Module):
    """Outputs of several neurons a class, ``(T, B, classes * size)``, summed or averaged."""

    def __init__(self, classes: int, *, together: bool, mean: bool) -> None:
        super().__init__()
        self.classes, self.together, self.mean = classes, together, mean

    def forward(self, trace: Tensor) -> Tensor:
        sizes = (self.classes, -1) if self.together else (-1, self.classes)
        axis = -1 if self.together else -2
        groups: Tensor = trace.unflatten(-1, sizes)
        return groups.mean(axis) if self.mean else groups.sum(axis)


class Node(NamedTuple):
    """A step: what computes it, and of which traces."""

    part: nn.Module | Neuron
    takes: tuple[Ref, ...]


@dataclass
class Graph:
    """Nodes in an order in which they can run; the last gives the answer."""

    nodes: list[Node] = field(default_factory=list)
    steps: int | None = None

    def add(self, part: nn.Module | Neuron, *takes: Ref) -> Ref:
        """Append a node; returns its first trace."""
        self.nodes.append(Node(part, takes))
        return Ref(len(self.nodes))


def connect(
    watched: list[Watched],
    framework: ModuleType,
    samples: Tensor,
    answer: Response,
    order: Order = TIME_FIRST,
) -> Graph:
    """Connect the layers.

    Args:
        watched: the layers that ran on these samples.
        framework: the adapter that describes neurons.
        samples: ``(T, B, C, H, W)`` or, shown for as long as the network likes, ``(B, C, H, W)``.
        answer: of the network to these samples.
        order: of the axes of what the layers take.

    Raises:
        CannotLower: if layers are connected in another way.
    """
    kept = [seen for seen in watched if type(seen.layer).__name__ not in _TRANSPARENT]
    steps = len(samples) if samples.ndim == 5 else steps_of(kept, framework)
    if not any(framework.is_neuron(seen.layer) for seen in kept):
        raise CannotLower("it has no spiking neurons")
    batch = samples.shape[-4]
    trace = samples if samples.ndim == 5 else samples.expand(steps, *samples.shape)
    known, graph, before = _Known(trace), Graph(), "the input"
    every = [use for seen in kept for use in uses(seen, framework, steps, batch)]
    for seen in sorted(every, key=lambda use: use.turns[0]):
        taken = over_time(seen.name, seen.taken, steps, batch, order)
        try:
            source = known.find(graph, taken)
        except CannotLower as reason:
            raise CannotLower(f"between {before} and {seen.name}, {reason}") from None
        ref = graph.add(_part(seen, framework, order, steps, batch), source)
        for i, output in enumerate(zip(*seen.given, strict=True)):
            if i > 0 and isinstance(graph.nodes[-1].part, Neuron):
                break  # the operator's membrane may differ from the framework's
            known.add(Ref(ref.node, i), over_time(seen.name, list(output), steps, batch, order))
        before = seen.name
    _end(graph, known, answer)
    graph.steps = steps if samples.ndim == 4 else None
    return graph


def _part(
    seen: Watched, framework: ModuleType, order: Order, steps: int, batch: int
) -> nn.Module | Neuron:
    is_neuron = framework.is_neuron(seen.layer)
    if is_neuron:
        with contextlib.suppress(CannotLower):
            return neuron_of(framework, seen.layer)
    elif isinstance(seen.layer, BatchNorm) and seen.layer.running_mean is None:
        raise CannotLower("batch norm keeps no running statistics, so it normalises by each batch")
    elif is_supported(seen.layer):
        return seen.layer
    # neurons of another kind, or a layer of someone's own, which may remember: it is called as the
    # network calls it
    whole = len(seen.taken) == 1 and not framework.makes_one_step(seen.layer)
    form = order.together if order.apart.take(seen.taken[0], steps, batch) is None else order.apart
    first = [given[0] for given in seen.given]
    fires = is_neuron and all(bool(((f == 0) | (f == 1)).all()) for f in first)
    return Kept(
        seen.layer,
        framework.forget,
        whole=whole,
        states=seen.states,
        fires=fires,
        order=form,
        resize=framework.resize,
    )


def _end(graph: Graph, known: "_Known", answer: Response) -> None:
    """Sum populations of output neurons, and name what the answer is of neurons that were kept."""
    classes, last = answer.membrane.shape[-1], len(graph.nodes)
    outputs = {ref: trace for ref, trace in known.traces if ref.node == last}
    width, part = outputs[Ref(last)].shape[-1], graph.nodes[-1].part
    if width == classes and isinstance(part, Kept):
        shown = [r for r, t in outputs.items() if t.shape == answer.membrane.shape]
        part.membrane = next(
            (r.output for r in shown if torch.equal(outputs[r], answer.membrane)), 0
        )
    if width == classes:
        return
    for (ref, trace), together, mean in (
        (item, together, mean)
        for item in outputs.items()
        for together in (True, False)
        for mean in (False, True)
    ):
        if trace.ndim == 3 and width % classes == 0:
            population = Population(classes, together=together, mean=mean)
            found = population(trace)
            wanted = answer.membrane
            pooled = (found.sum(0, keepdim=True), found.mean(0, keepdim=True))
            if any(a.shape == wanted.shape and torch.allclose(a, wanted) for a in (found, *pooled)):
                graph.add(population, ref)
                return
    raise CannotLower("what follows its last layer is no sum over groups of neurons")


class _Known:
    """The traces so far, and how others are made of them."""

    def __init__(self, trace: Tensor) -> None:
        self.traces: list[tuple[Ref, Tensor]] = [(Ref(0), trace)]

    def add(self, ref: Ref, trace: Tensor) -> None:
        self.traces.append((ref, trace))

    def find(self, graph: Graph, wanted: Tensor) -> Ref:
        """How a trace is made of those known, added to the graph.

        Raises:
            CannotLower: if it is not found.
        """
        latest = self.traces[::-1]
        for ref, trace in latest:
            if (glue := _glue(trace, wanted)) is not None:
                for layer in glue:
                    ref = graph.add(layer, ref)
                return ref
        for (a, first), (b, second) in combinations(latest, 2):
            for join in _joins(first, second):
                if (glue := _glue(join(second, first), wanted)) is not None:
                    ref = graph.add(join, b, a)
                    self.add(ref, join(second, first))
                    for layer in glue:
                        ref = graph.add(layer, ref)
                    return ref
        raise CannotLower(
            "an operation other than flattening, pooling, or joining two layers takes place"
        )


def _joins(first: Tensor, second: Tensor) -> Iterator[Join]:
    if first.shape == second.shape:
        yield Join("add")
        yield Join("multiply")
    if first.ndim == second.ndim and first.ndim > 2 and first.shape[3:] == second.shape[3:]:
        yield Join("concatenate")


def _glue(before: Tensor, after: Tensor) -> list[nn.Module] | None:
    """The flattening and pooling that make ``after`` of ``before``, both ``(T, B, ...)``."""
    rows, wanted = before.flatten(0, 1), after.flatten(0, 1)
    found = [layers for layers in _guesses(rows, wanted) if torch.equal(_run(layers, rows), wanted)]
    if len(found) > 1 and found[0]:
        raise CannotLower("the samples do not determine which pooling takes place")
    return found[0] if found else None


def _run(layers: list[nn.Module], rows: Tensor) -> Tensor:
    for layer in layers:
        rows = layer(rows)
    return rows


def _guesses(rows: Tensor, wanted: Tensor) -> Iterator[list[nn.Module]]:
    """Flattening and pooling that give the shape, in their order of simplicity."""
    if rows.shape == wanted.shape:
        yield []
    flat: list[nn.Module] = [nn.Flatten()] if wanted.ndim == 2 and rows.ndim > 2 else []
    if flat and rows[0].numel() == wanted[0].numel():
        yield flat
    if rows.ndim != 4:
        return
    channels, height, width = rows.shape[1:]
    for size in range(2, _LARGEST_POOL + 1):
        small = (channels, height // size, width // size)
        fits = wanted.shape[1:] == small or (
            flat and wanted[0].numel() == torch.Size(small).numel()
        )
        if fits and min(small) > 0:
            for kind in (nn.MaxPool2d, nn.AvgPool2d):
                yield [kind(size), *flat]
    if wanted[0].numel() == channels and height * width > 1:
        for pool in (nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)):
            yield [pool, *flat]
    for factor in (2, 4):
        if wanted.shape[1:] == (channels, factor * height, factor * width):
            yield [nn.Upsample(scale_factor=factor)]
