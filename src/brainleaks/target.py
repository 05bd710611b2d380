"""The attacked network, seen through what the attacker may do with it."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from brainleaks.errors import AccessError
from brainleaks.networks import Readout, Response, respond, respond_in_pieces
from brainleaks.networks.views import Coded
from brainleaks.networks.weights import first_weights
from brainleaks.neuron import LIF
from brainleaks.neuron.dynamics import Surrogate

Access = Literal["labels", "scores", "gradients", "initial-weights"]
#: From the least that an attacker may see to the most.
RANKS: tuple[Access, ...] = get_args(Access)

#: ``objective(response, labels)`` gives one value a sample, ``(B,)``.
Objective = Callable[[Response, Tensor], Tensor]
#: ``weigh(values, members)`` with values ``(n, B)``, members ``(T, n, B, ...)``, gives ``(n, B)``.
Weighing = Callable[[Tensor, Tensor], Tensor]


@dataclass
class _Count:
    """What several views of one target share."""

    queries: int = 0


class Target:
    """A trained network under attack.

    Its weights are frozen: a backward pass through it costs no weight gradients, and the network
    that was handed in is left as it was. A large batch is cut into pieces of at most ``memory``
    bytes, class by class; the answers are those of the whole batch.

    Args:
        network: a network of :mod:`brainleaks.networks`, or a module that offers the same:
            ``spiking``, ``activations``, and a forward pass from ``(T, B, *input_shape)`` to a
            :class:`~brainleaks.networks.Response` or from ``(B, *input_shape)`` to logits; and,
            where its first layer is affine, ``drive``, ``respond`` and ``pull_back``.
        input_shape: ``(C, H, W)`` of one input.
        classes: how many classes the network tells apart.
        access: what the attacker may see: labels, scores, or gradients (which implies scores, and
            the weights), or initial weights (which implies gradients).
        readout: which output trace, summed over time, the network decides by.
        memory: bytes that the activations of one piece may take.
        initial: the same network before its training, where it is known.
        answers: what is told instead of confidences ``(B, C)``; see :mod:`brainleaks.defences`.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        input_shape: tuple[int, ...],
        classes: int,
        access: Access = "gradients",
        readout: Readout = "membrane",
        memory: int = 192 * 2**20,
        initial: nn.Module | None = None,
        answers: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> None:
        self._network: Any = _frozen(network).eval()
        self.input_shape = tuple(input_shape)
        self.classes = classes
        self.access = access
        self.readout = readout
        self.memory = memory
        self._count = _Count()
        self._initial = initial
        self._answers = tuple(answers)

    @property
    def network(self) -> Any:
        """The frozen network itself, for who may see gradients.

        Raises:
            AccessError: if the target does not grant gradients, and so not its weights.
        """
        self._grants("gradients")
        return self._network

    @property
    def queries(self) -> int:
        """How many inputs it was asked about, in whatever form."""
        return self._count.queries

    @queries.setter
    def queries(self, queries: int) -> None:
        self._count.queries = queries

    def behind(self, code: nn.Module, steps: int, input_shape: tuple[int, ...]) -> "Target":
        """The same target behind a code, as one of images; both count the same queries.

        Args:
            code: makes of ``(B, *input_shape)`` what the network takes, in a form that gradients
                pass.
            steps: how many time steps; 1 for an ordinary network.
            input_shape: of one such image.
        """
        view = copy.copy(self)
        view._network = _frozen(Coded(self._network, code, steps)).eval()
        view.input_shape = tuple(input_shape)
        return view

    @property
    def spiking(self) -> bool:
        """Whether inputs are spike trains (time first) rather than images."""
        return bool(self._network.spiking)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self._network.parameters()).device
        return device

    def require(self, access: Access, attack: str, *, spiking: bool | None) -> None:
        """Refuse an attack that needs more access, or another kind of network, than there is.

        ``spiking`` is ``None`` for an attack on either kind.

        Raises:
            AccessError: with a sentence that says what is missing.
        """
        if RANKS.index(self.access) < RANKS.index(access):
            raise AccessError(
                f"{attack} needs the target's {access}; this target grants only {self.access}. "
                "Choose an attack that needs less access, or grant more."
            )
        if spiking is not None and self.spiking != spiking:
            kinds = {True: "spiking", False: "ordinary (non-spiking)"}
            raise AccessError(
                f"{attack} attacks {kinds[spiking]} networks; this target is {kinds[self.spiking]}."
            )

    def scores(self, inputs: Tensor) -> Tensor:
        """The confidence in each class, ``(B, C)``: ``mean over t of softmax(U[t])``.

        Where the target was given ``answers``, what they make of it.

        Args:
            inputs: ``(T, B, *input_shape)`` for a spiking target, else ``(B, *input_shape)``.

        Raises:
            AccessError: if the target grants labels only.
        """
        self._grants("scores")
        scores = self._ask(inputs).membrane.softmax(-1).mean(0)
        for answer in self._answers:
            scores = answer(scores)
        return scores

    def labels(self, inputs: Tensor) -> Tensor:
        """The class that the network decides for, ``(B,)``, of inputs as in :meth:`scores`."""
        response = self._ask(inputs)
        spikes = response.spikes if self.readout == "spikes" else None
        return (response.membrane if spikes is None else spikes).sum(0).argmax(1)

    def first_weights(self) -> Tensor | None:
        """Weights ``(H, *input_shape)`` from each input to the first layer, if that is linear.

        ``None`` if it is not, and behind a code, whose weights are not the target's.

        Raises:
            AccessError: if the target does not grant gradients, and so not its weights.
        """
        return first_weights(self.network, self.input_shape)

    def learned_weights(self) -> Tensor | None:
        """The first layer's weights less their values before training, as :meth:`first_weights`.

        Raises:
            AccessError: if the target does not grant its initial weights, or nobody knows them.
        """
        before = first_weights(self._untrained, self.input_shape)
        now = first_weights(self._network, self.input_shape)
        return None if now is None or before is None else now - before.to(now.device)

    def halfway(self) -> "Target":
        """The same target with the mean of its weights before and after training.

        Raises:
            AccessError: if the target does not grant its initial weights, or nobody knows them.
        """
        before = dict(self._untrained.named_parameters())
        view = copy.copy(self)
        view._network = copy.deepcopy(self._network)
        for name, weight in view._network.named_parameters():
            weight.data = (weight.data + before[name].detach().to(weight.device)) / 2
        return view

    @property
    def _untrained(self) -> nn.Module:
        self._grants("initial-weights")
        if self._initial is None:
            raise AccessError("the target's initial weights are not known.")
        return self._initial

    @contextmanager
    def differentiated_by(self, surrogate: Surrogate) -> Iterator[None]:
        """Within, gradients are those of another surrogate; answers stay as they are.

        Neurons of other libraries keep their own surrogate.

        Raises:
            AccessError: if the target does not grant gradients.
        """
        layers = [layer for layer in self.network.modules() if isinstance(layer, LIF)]
        own = [layer.surrogate for layer in layers]
        try:
            for layer in layers:
                layer.surrogate = surrogate
            yield
        finally:
            for layer, original in zip(layers, own, strict=True):
                layer.surrogate = original

    def entry(self, inputs: Tensor) -> Tensor:
        """What the network's first nonlinearity sees: the affine first layer's output.

        Gradients are asked for at the entry, so that an attack that changes few inputs can
        :meth:`update` it instead of multiplying all of them again. A network whose first layer
        cannot be separated is entered at its inputs.
        """
        self._grants("gradients")
        with torch.no_grad():
            return torch.as_tensor(self._network.drive(inputs) if self._splits else inputs)

    def update(self, entry: Tensor, change: Tensor) -> Tensor:
        """The entry after the inputs changed by ``change``; equals a new one up to rounding."""
        with torch.no_grad():
            return entry + (self._network.drive(change, bias=False) if self._splits else change)

    def gradient(
        self, entry: Tensor, labels: Tensor, objective: Objective
    ) -> tuple[Tensor, Tensor]:
        """An objective and its gradient on the inputs, sample by sample.

        Args:
            entry: of inputs ``(T, B, *input_shape)`` for a spiking target, else
                ``(B, *input_shape)``.
            labels: ``(B,)``, the class that each input is made for.
            objective: what is differentiated.

        Returns:
            ``(values, gradient)``: ``(B,)`` and the shape of the inputs.
        """
        self._grants("gradients")
        batch_axis = 1 if self.spiking else 0
        values, gradients = [], []
        for piece in self._pieces(len(labels), entry.shape[0] if self.spiking else 1):
            part = entry.narrow(batch_axis, piece.start, len(piece)).detach().requires_grad_()
            value = objective(self._respond(part), labels[piece.start : piece.stop])
            (gradient,) = torch.autograd.grad(value.sum(), part)
            values.append(value.detach())
            gradients.append(self._pull_back(gradient))
        self.queries += len(labels)
        return torch.cat(values), torch.cat(gradients, batch_axis)

    def entry_gradient(self, inputs: Tensor, labels: Tensor, objective: Objective) -> Tensor:
        """An objective's gradient at the :meth:`entry`, sample by sample, summed over time.

        ``(B, H)`` where the first layer is fully connected to ``H`` neurons.
        """
        return self.gradient_at(self.entry(inputs), labels, objective)

    def gradient_at(self, entry: Tensor, labels: Tensor, objective: Objective) -> Tensor:
        """As :meth:`entry_gradient`, of an entry that was computed before."""
        entry = entry.detach().requires_grad_()
        value = objective(self._respond(entry), labels)
        (gradient,) = torch.autograd.grad(value.sum(), entry)
        self.queries += len(labels)
        return torch.as_tensor(gradient.sum(0) if self.spiking else gradient)

    def shared_gradient(
        self,
        members: Tensor,
        labels: Tensor,
        objective: Objective,
        weigh: Weighing,
        *,
        over_time: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The weighted sum of a population's gradients, and the weights.

        The sum is taken before the network's first layer is differentiated, where the network
        allows it: that layer is affine, so its transposed product, the largest of all, is done
        once for the sum instead of once for each member.

        Args:
            members: ``(T, n, B, *input_shape)``, ``n`` inputs a class.
            labels: ``(B,)``.
            objective: what is differentiated, for each member.
            weigh: the weight of each member's gradient, from all members' objectives.
            over_time: ``(T, K)``, where the time steps' gradients are to be summed too, ``K`` times
                with other weights.

        Returns:
            ``(weights, gradient)``: ``(n, B)`` and ``(T, B, *input_shape)``, or
            ``(K, B, *input_shape)`` over time.
        """
        self._grants("gradients")
        population = members.shape[1]
        weights, gradients = [], []
        for piece in self._pieces(len(labels), population * len(members)):
            part = members.narrow(2, piece.start, len(piece))
            entry = self.entry(part.flatten(1, 2)).detach().requires_grad_()
            part_labels = labels[piece.start : piece.stop].repeat(population)
            values = objective(self._respond(entry), part_labels).unflatten(0, part.shape[1:3])
            weight = weigh(values.detach(), part)
            (gradient,) = torch.autograd.grad(values, entry, weight)
            weights.append(weight)
            summed = gradient.unflatten(1, part.shape[1:3]).sum(1)
            if over_time is not None:
                summed = torch.einsum("tk,t...->k...", over_time, summed)
            gradients.append(self._pull_back(summed))
        self.queries += population * len(labels)
        return torch.cat(weights, 1), torch.cat(gradients, 1)

    @torch.no_grad()
    def _ask(self, inputs: Tensor) -> Response:
        self.queries += inputs.shape[1 if self.spiking else 0]
        return respond_in_pieces(self._network, inputs)

    @property
    def _splits(self) -> bool:
        return hasattr(self._network, "drive")

    def _respond(self, entry: Tensor) -> Response:
        response = self._network.respond(entry) if self._splits else respond(self._network, entry)
        return Response(*response)

    def _pull_back(self, gradient: Tensor) -> Tensor:
        """A gradient on the entry to one on the inputs: the first layer's transpose."""
        with torch.no_grad():
            return torch.as_tensor(self._network.pull_back(gradient) if self._splits else gradient)

    def _grants(self, access: Access) -> None:
        if RANKS.index(self.access) < RANKS.index(access):
            raise AccessError(f"this target grants {self.access}, but {access} were requested.")

    def _pieces(self, batch: int, samples_each: int) -> list[range]:
        """Cut a batch into ranges that keep within the memory budget, at least one sample each."""
        bytes_each = 4 * samples_each * self._network.activations
        size = max(1, self.memory // bytes_each)
        return [range(lo, min(lo + size, batch)) for lo in range(0, batch, size)]


def _frozen(network: nn.Module) -> nn.Module:
    """A copy that shares the weights' memory and never asks for their gradients."""
    shared = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in network.parameters()}
    return copy.deepcopy(network, shared)
