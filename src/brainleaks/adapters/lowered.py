"""Lowering: a graph of layers as one network, all time steps at once."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from brainleaks.adapters.graph import Graph, Join, Node, Population, Ref
from brainleaks.adapters.kept import Kept
from brainleaks.adapters.layers import Affine, BatchNorm, CannotLower, is_affine, plain, through
from brainleaks.adapters.layers import scale as scale_layer
from brainleaks.adapters.lower import Neuron, Neurons
from brainleaks.networks import Response


class Scale(nn.Module):
    """A trace times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, trace: Tensor) -> Tensor:
        return trace * self.factor


#: Layers that see time steps apart.
_OVER_TIME = (Neurons, Kept, Join, Population, Scale)


class Lowered(nn.Module):
    """A graph of layers, whose neurons run on the fused operator where it can express them.

    The leading affine layers are the network's entry: an attack can add up changes of the inputs,
    or gradients of many inputs, behind them (see :class:`brainleaks.target.Target`).

    Args:
        layers: what computes each node.
        takes: the traces that each node takes.
        input_shape: of one input.
        steps: how many time steps an image is shown for; ``None`` for inputs that are spike trains.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        takes: Sequence[tuple[Ref, ...]],
        input_shape: tuple[int, ...],
        steps: int | None,
    ) -> None:
        super().__init__()
        self.spiking = steps is None
        self.input_shape = tuple(input_shape)
        self.steps = steps
        leading = _leading(layers, takes)
        self.first = nn.ModuleList(layers[:leading])
        self.rest = nn.ModuleList(layers[leading:])
        self._takes = [tuple(refs) for refs in takes[leading:]]
        self._stretches = _stretches(list(self.rest), self._takes, leading)
        self.eval()  # lest batch norm learns from what is counted
        self.activations = self._count() * (steps or 1)

    def forward(self, inputs: Tensor) -> Response:
        if not self._pools_first:
            return self.respond(self.drive(inputs))
        lead = 2 if self.spiking else 1
        _, last = self._stretches[0]
        rows = through([*self.first, *self.rest[: last + 1]], inputs.flatten(0, lead - 1))
        return self._respond(rows.unflatten(0, inputs.shape[:lead]), first=last + 1)

    def drive(self, inputs: Tensor, *, bias: bool = True) -> Tensor:
        """What enters the first layer that is not affine; linear without the bias.

        ``(T, B, *input_shape)`` or ``(B, *input_shape)`` in, time and batch first out.
        """
        lead = 2 if self.spiking else 1
        rows = inputs.flatten(0, lead - 1)
        rows = through(list(self.first), rows, bias=bias)
        return rows.reshape(*inputs.shape[:lead], *rows.shape[1:])

    def respond(self, entry: Tensor) -> Response:
        """The output layer's response to the result of :meth:`drive`."""
        return self._respond(entry, first=0)

    @property
    def _pools_first(self) -> bool:
        """Whether what follows the entry keeps no time, and may be computed along with it."""
        layer, (takes, *_) = self.rest[0], self._takes
        alone = Counter(ref for refs in self._takes for ref in refs)[takes[0]] == 1
        return len(self._stretches) > 1 and alone and not isinstance(layer, _OVER_TIME)

    def _respond(self, trace: Tensor, *, first: int) -> Response:
        """From what enters the layer ``first`` behind the entry."""
        trace = trace if self.steps is None else trace.expand(self.steps, *trace.shape)
        left = [stretch for stretch in self._stretches if stretch[0] >= first]
        return self._run(trace, left, first)[-1]

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Transpose of :meth:`drive`: a gradient on the entry to one on the inputs."""
        lead = 2 if self.spiking else 1
        with torch.enable_grad():
            inputs = gradient.new_zeros(*gradient.shape[:lead], *self.input_shape)
            inputs.requires_grad_()
            entry = self.drive(inputs, bias=False)
            (pulled,) = torch.autograd.grad(entry, inputs, gradient)
        return torch.as_tensor(pulled)

    def _run(
        self, trace: Tensor, stretches: list[tuple[int, int]], entered: int = 0
    ) -> list[Response]:
        """The response of every stretch of layers, entered at one of those behind the entry."""
        behind = len(self.first)
        traces: dict[Ref, Tensor] = {Ref(behind + entered): trace}
        responses = [Response(None, trace)]
        for first, last in stretches:
            layers = list(self.rest[first : last + 1])
            outputs = _outputs(layers, [traces[ref] for ref in self._takes[first]])
            responses.append(_response(layers[-1], outputs))
            number = behind + 1 + last
            traces |= {Ref(number, j): output for j, output in enumerate(outputs)}
        return responses

    def _count(self) -> int:
        """Approximate number of values kept per input and time step for a backward pass."""
        weight = next(self.parameters(), torch.empty(0))
        inputs = weight.new_zeros(1, 1, *self.input_shape)
        with torch.no_grad():
            entry = self.drive(inputs if self.spiking else inputs[0])
            alone = [(i, i) for i in range(len(self.rest))]
            found = self._run(entry if self.spiking else entry.unsqueeze(0), alone)
        total = inputs.numel()
        for response in found:
            total += response.membrane.numel() * (1 if response.spikes is None else 3)
        return total


def lower(graph: Graph, input_shape: tuple[int, ...]) -> Lowered:
    """Build the network of a graph of layers and neurons; weights are copied.

    What a neuron multiplies its input by is folded into the affine layer before it, if nothing else
    takes that layer's output: pooling, which may lie between, commutes with a positive factor.

    Raises:
        CannotLower: if there is no neuron at all, or a layer is not supported.
    """
    if not any(isinstance(part, Neuron | Kept) for part, _ in graph.nodes):
        raise CannotLower("it has no spiking neurons")
    consumers = Counter(ref.node for _, takes in graph.nodes for ref in takes)
    layers: list[nn.Module] = []
    takes: list[tuple[Ref, ...]] = []
    moved = {0: 0}  # nodes are renumbered where a factor needs one of its own
    for i, (part, refs) in enumerate(graph.nodes, 1):
        sources = tuple(Ref(moved[ref.node], ref.output) for ref in refs)
        if isinstance(part, Neuron):
            if part.gain != 1.0 and not _folded(graph.nodes, layers, moved, consumers, i, part):
                layers.append(Scale(part.gain))
                takes.append(sources)
                sources = (Ref(len(layers)),)
            layers.append(Neurons(part, shown=i == len(graph.nodes)))
        else:
            layers.append(plain(part))
        takes.append(sources)
        moved[i] = len(layers)
    # modules are built wanting gradients; a target's weights never need any
    return Lowered(layers, takes, input_shape, graph.steps).requires_grad_(False).eval()


def _folded(
    nodes: list[Node],
    layers: list[nn.Module],
    moved: dict[int, int],
    consumers: Counter[int],
    neuron: int,
    part: Neuron,
) -> bool:
    """Multiply the affine layer before a neuron by its gain, if there is one that is its own."""
    (source,) = nodes[neuron - 1].takes
    while source.node and consumers[source.node] == 1:
        layer = layers[moved[source.node] - 1]
        if isinstance(layer, Affine | BatchNorm):
            scale_layer(layer, part.gain)
            return True
        if not isinstance(layer, nn.MaxPool2d | nn.AvgPool2d | nn.Flatten | nn.Unflatten):
            return False
        (source,) = nodes[source.node - 1].takes
    return False


def _leading(layers: Sequence[nn.Module], takes: Sequence[tuple[Ref, ...]]) -> int:
    """How many layers are a chain of affine ones that begins at the input."""
    consumers = Counter(ref.node for refs in takes for ref in refs)
    count = 0
    while (
        count < len(layers)
        and is_affine(layers[count])
        and takes[count] == (Ref(count),)
        and consumers[count] == 1
    ):
        count += 1
    return count


def _response(layer: nn.Module, outputs: list[Tensor]) -> Response:
    """What a network answers whose last layer this is."""
    if isinstance(layer, Kept):
        return Response(outputs[0] if layer.fires else None, outputs[layer.membrane])
    return Response(outputs[0] if len(outputs) > 1 else None, outputs[-1])


def _outputs(layers: list[nn.Module], traces: list[Tensor]) -> list[Tensor]:
    """The traces that a stretch of layers gives, spikes first and the membrane last."""
    layer = layers[0]
    if isinstance(layer, Neurons):
        spikes, membrane = layer(traces[0])
        return [membrane] if spikes is None else [spikes, membrane]
    if isinstance(layer, Kept):
        return list(layer(traces[0]))
    if isinstance(layer, Join | Population | Scale):
        return [layer(*traces)]
    rows = through(layers, traces[0].flatten(0, 1))
    return [rows.unflatten(0, traces[0].shape[:2])]


def _stretches(
    layers: Sequence[nn.Module], takes: Sequence[tuple[Ref, ...]], before: int
) -> list[tuple[int, int]]:
    """The first and the last of layers that follow one another and keep no time."""
    consumers = Counter(ref.node for refs in takes for ref in refs)
    found: list[tuple[int, int]] = []
    for i, (layer, refs) in enumerate(zip(layers, takes, strict=True)):
        alone = i > 0 and refs == (Ref(before + i),) and consumers[before + i] == 1
        if (
            alone
            and not isinstance(layer, _OVER_TIME)
            and not isinstance(layers[i - 1], _OVER_TIME)
        ):
            found[-1] = (found[-1][0], i)
        else:
            found.append((i, i))
    return found
