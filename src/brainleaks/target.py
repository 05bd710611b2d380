"""The attacked network, seen through what the attacker may do with it."""

import copy
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from brainleaks.errors import AccessError
from brainleaks.networks import Response, respond

Access = Literal["labels", "scores", "gradients"]
_RANK: dict[Access, int] = {"labels": 0, "scores": 1, "gradients": 2}

#: ``objective(response, labels)`` gives one value a sample, ``(B,)``.
Objective = Callable[[Response, Tensor], Tensor]
#: ``weigh(values, members)`` with values ``(n, B)``, members ``(T, n, B, ...)``, gives ``(n, B)``.
Weighing = Callable[[Tensor, Tensor], Tensor]


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
        access: what the attacker may see: labels, scores, or gradients (which implies scores).
        memory: bytes that the activations of one piece may take.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        input_shape: tuple[int, ...],
        classes: int,
        access: Access = "gradients",
        memory: int = 192 * 2**20,
    ) -> None:
        self.network: Any = _frozen(network).eval()
        self.input_shape = tuple(input_shape)
        self.classes = classes
        self.access = access
        self.memory = memory
        self.queries = 0

    @property
    def spiking(self) -> bool:
        """Whether inputs are spike trains (time first) rather than images."""
        return bool(self.network.spiking)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.network.parameters()).device
        return device

    def require(self, access: Access, attack: str, *, spiking: bool) -> None:
        """Refuse an attack that needs more access, or another kind of network, than there is.

        Raises:
            AccessError: with a sentence that says what is missing.
        """
        if _RANK[self.access] < _RANK[access]:
            raise AccessError(
                f"{attack} needs the target's {access}; this target grants only {self.access}. "
                "Choose an attack with less access, or grant more."
            )
        if self.spiking != spiking:
            kinds = {True: "spiking", False: "ordinary (non-spiking)"}
            raise AccessError(
                f"{attack} attacks {kinds[spiking]} networks; this target is {kinds[self.spiking]}."
            )

    def entry(self, inputs: Tensor) -> Tensor:
        """What the network's first nonlinearity sees: the affine first layer's output.

        Gradients are asked for at the entry, so that an attack that changes few inputs can
        :meth:`update` it instead of multiplying all of them again. A network whose first layer
        cannot be told apart is entered by its inputs.
        """
        self._grants_gradients()
        with torch.no_grad():
            return torch.as_tensor(self.network.drive(inputs) if self._splits else inputs)

    def update(self, entry: Tensor, change: Tensor) -> Tensor:
        """The entry after the inputs changed by ``change``; equals a new one up to rounding."""
        with torch.no_grad():
            return entry + (self.network.drive(change, bias=False) if self._splits else change)

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
        self._grants_gradients()
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

    def shared_gradient(
        self, members: Tensor, labels: Tensor, objective: Objective, weigh: Weighing
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

        Returns:
            ``(weights, gradient)``: ``(n, B)`` and ``(T, B, *input_shape)``.
        """
        self._grants_gradients()
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
            gradients.append(self._pull_back(gradient.unflatten(1, part.shape[1:3]).sum(1)))
        self.queries += population * len(labels)
        return torch.cat(weights, 1), torch.cat(gradients, 1)

    @property
    def _splits(self) -> bool:
        return hasattr(self.network, "drive")

    def _respond(self, entry: Tensor) -> Response:
        response = self.network.respond(entry) if self._splits else respond(self.network, entry)
        return Response(*response)

    def _pull_back(self, gradient: Tensor) -> Tensor:
        """A gradient on the entry to one on the inputs: the first layer's transpose."""
        with torch.no_grad():
            return torch.as_tensor(self.network.pull_back(gradient) if self._splits else gradient)

    def _grants_gradients(self) -> None:
        if self.access != "gradients":
            raise AccessError(f"this target grants {self.access}; gradients were asked for.")

    def _pieces(self, batch: int, samples_each: int) -> list[range]:
        """Cut a batch into ranges that keep within the memory budget, at least one sample each."""
        bytes_each = 4 * samples_each * self.network.activations
        size = max(1, self.memory // bytes_each)
        return [range(lo, min(lo + size, batch)) for lo in range(0, batch, size)]


def _frozen(network: nn.Module) -> nn.Module:
    """A copy that shares the weights' memory and never asks for their gradients."""
    shared = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in network.parameters()}
    return copy.deepcopy(network, shared)
