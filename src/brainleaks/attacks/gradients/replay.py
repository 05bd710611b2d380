"""Samples in time order, by replaying spike vectors through the network.

The attacker knows the weights, and so what each vector does to the first layer's neurons. Back
through time, what step ``t`` adds to the error is ``a[t] = error[t] - beta * error[t + 1]``, and
that is ``surrogate'(V[t]) * (W2.T @ e)`` for some error ``e`` of the outputs: with the membrane
``V[t]`` known, a vector in a space of as many dimensions as there are classes. It is also in the
span of the errors, the column space of the gradient. Where both have fewer dimensions together than
there are neurons, two such spaces do not meet by chance. A vector is therefore *the* next one of a
sample if the space that it leads to meets the errors', and the first one if it does so from rest.

That tells sums and differences of spike vectors, which are in the span as well, from the vectors.
A silent step leaves no trace of its error in the gradient: the step before it is recognised by what
both add together.
"""

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn

from brainleaks.attacks.gradients.order import chains, errors
from brainleaks.networks import SpikingMLP
from brainleaks.neuron import LIF

#: The sine of the angle between the two spaces below which they meet.
_MEETS = 1e-3
#: Candidates that are tried at once; for one time step at most, times the squared rank.
_PIECE, _WORK = 64, 2e8
#: Neurons that all candidates are tried on, for each dimension, and how many are tried on all.
_SOME, _BEST = 2, 8
#: Silent steps in a row that a sample is followed through.
_SILENT = 3


def replayable(network: nn.Module, rank: int) -> bool:
    """Whether a network is one that vectors are replayed through.

    Two fully connected layers of neurons with a delayed, subtractive reset, the first with more
    neurons than the gradient has ranks and the network classes.
    """
    if type(network) is not SpikingMLP:
        return False
    first: LIF = network.lif1
    room = network.fc1.out_features - network.fc2.out_features
    return first.reset == "subtract" and first.reset_delay and rank < room


class Replay:
    """The first layer of a network, and the span of the errors that a gradient shows.

    Args:
        network: that the gradient was computed at.
        gradient: of its first layer's weights, ``(H, D)``.
        basis: orthonormal columns that span its rows, ``(D, R)``.
        vectors: independent binary vectors in that span, ``(N, D)``.
        silent: whether there may be silent time steps.
    """

    def __init__(
        self,
        network: SpikingMLP,
        gradient: Tensor,
        basis: Tensor,
        vectors: Tensor,
        *,
        silent: bool = True,
    ) -> None:
        first = network.lif1
        self._weight, self._bias = network.fc1.weight.detach(), network.fc1.bias.detach()
        self._outputs = network.fc2.weight.detach().T.double()
        self._beta, self._threshold = first.beta, first.threshold
        self._slopes = first.surrogate.coefficients
        classes, room = self._outputs.shape[1], len(self._bias) - 1 - basis.shape[1]
        # what more steps add together would meet the errors by chance
        self._silent = range(min(_SILENT + 1, room // classes) if silent else 1)
        self._vectors = vectors
        self._places = {_packed(vector): i for i, vector in enumerate(vectors)}
        self._behind = errors(gradient, vectors).double()
        self._products = self._behind @ self._behind.T
        seen = (gradient @ basis).double()
        self._errors = torch.linalg.qr(seen).Q
        dimensions = seen.shape[1] + len(self._silent) * self._outputs.shape[1]
        order = torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))
        self._some = order[: _SOME * dimensions].to(seen.device)
        self._errors_of_some = torch.linalg.qr(seen[self._some]).Q
        self._most = int(_WORK / seen.shape[1] ** 2)

    def samples(self, steps: int, count: int | None = None) -> list[Tensor]:
        """The samples that the vectors make up, each ``(T, D)`` with ``T <= steps``.

        A sample ends where none of the vectors, and none of their sums and differences, follows.

        Args:
            steps: of a sample.
            count: how many samples there are, if that is known.
        """
        vectors, found = self._vectors, []
        begins = self._likely(count) if count else []
        if not count or len(begins) < count:
            begins = self._first(vectors)
        for first, silent in begins:
            found.append(self._followed(first, silent, vectors, steps))
            vectors = torch.cat([vectors, found[-1]]).unique(dim=0)
        return found

    def _first(self, vectors: Tensor) -> list[tuple[Tensor, int]]:
        """The vectors that samples begin with, and how many silent steps follow each."""
        left = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
        found, membranes = [], self._membranes(vectors, torch.zeros_like(self._bias))
        for silent in self._silent:
            likely = left & (self._sines(membranes, silent, some=True) < _MEETS)
            begins = likely.nonzero().squeeze(1)
            begins = begins[self._sines(membranes[begins], silent) < _MEETS]
            found += [(vector, silent) for vector in vectors[begins]]
            left[begins] = False
        return found

    def _likely(self, count: int) -> list[tuple[Tensor, int]]:
        """The first vectors of samples, among those that the errors' own order begins with."""
        heads = [found[0] for found in chains(self._behind, self._beta, count)[:count]]
        return self._first(self._vectors[heads])

    def _followed(self, first: Tensor, silent: int, vectors: Tensor, steps: int) -> Tensor:
        """The sample that begins with a vector."""
        nothing, membrane = torch.zeros_like(first), torch.zeros_like(self._bias)
        sample: list[Tensor] = []
        following: tuple[Tensor, int] | None = (first, silent)
        while following is not None:
            added = [following[0], *[nothing] * following[1]][: steps - len(sample)]
            sample += added
            for vector in added:
                membrane = self._membranes(vector[None], membrane)[0]
            if len(sample) == steps:
                break
            following = self._expected(sample[-1], membrane)
            if following is None:
                known = torch.cat([vectors, torch.stack(sample)]).unique(dim=0)
                following = self._following(known[known.any(1)], membrane)
        return torch.stack(sample)

    def _expected(self, last: Tensor, membrane: Tensor) -> tuple[Tensor, int] | None:
        """The vector whose error leaves least of the last one's unexplained, if it does follow."""
        i = self._places.get(_packed(last))
        if i is None:
            return None
        products = self._products
        added = torch.linalg.qr(self._slopes_at(membrane[:, None]) * self._outputs).Q
        explained = self._behind @ added
        left = products[i, i] - 2 * self._beta * products[i] + self._beta**2 * products.diagonal()
        left -= (explained[i] - self._beta * explained).square().sum(1)
        left[i] = torch.inf
        j = int(left.argmin())
        if float(left[j]) > _MEETS**2 * float(products[i, i]):
            return None
        return self._silence(self._vectors[j], membrane)

    def _silence(self, vector: Tensor, before: Tensor) -> tuple[Tensor, int] | None:
        """A vector that follows, and the silent steps after it."""
        if len(self._silent) == 1:
            return vector, 0
        membranes = self._membranes(vector[None], before)
        for silent in self._silent:
            if float(self._sines(membranes, silent)) < _MEETS:
                return vector, silent
        return None

    def _following(self, vectors: Tensor, before: Tensor) -> tuple[Tensor, int] | None:
        """The vector that comes next, or a sum or difference of them, and the silent steps then."""
        tried = ((vectors, silent) for silent in self._silent)
        for candidates, silent in chain(tried, ((c, 0) for c in _combined(vectors, self._most))):
            membranes = self._membranes(candidates, before)
            likely = self._sines(membranes, silent, some=True).argsort()[:_BEST]
            sines = self._sines(membranes[likely], silent)
            if len(sines) and float(sines.min()) < _MEETS:
                return candidates[likely[sines.argmin()]], silent
        return None

    def _membranes(self, vectors: Tensor, before: Tensor) -> Tensor:
        """Of each neuron, if one of the vectors came next, ``(N, H)``."""
        fell = (before > self._threshold).to(before) * self._threshold
        return vectors @ self._weight.T + (self._bias + self._beta * before - fell)

    def _sines(self, membranes: Tensor, silent: int, *, some: bool = False) -> Tensor:
        """Of the least angle between the errors and what each step could have added, ``(N,)``.

        Args:
            membranes: of each neuron at the step, ``(N, H)``.
            silent: how many silent steps follow, and add as well.
            some: whether to look at some of the neurons only.
        """
        pieces = [self._sine(piece, silent, some=some) for piece in membranes.split(_PIECE)]
        return torch.cat(pieces) if pieces else membranes.new_zeros(0).double()

    def _sine(self, membranes: Tensor, silent: int, *, some: bool) -> Tensor:
        at = [membranes]
        for _ in range(silent):
            fell = (at[-1] > self._threshold).to(membranes) * self._threshold
            at.append(self._bias + self._beta * at[-1] - fell)
        potential, outputs, errors = torch.stack(at, 1), self._outputs, self._errors
        if some:
            potential, outputs = potential[..., self._some], outputs[self._some]
            errors = self._errors_of_some
        added = torch.einsum("nkh,hc->nhkc", self._slopes_at(potential), outputs).flatten(2)
        shared = torch.einsum("hr,nhc->nrc", errors, torch.linalg.qr(added).Q)
        cosine = torch.linalg.matrix_norm(shared, ord=2)
        sine: Tensor = (1 - cosine.square()).clamp_min(0).sqrt()
        return sine

    def _slopes_at(self, membrane: Tensor) -> Tensor:
        """The surrogate's derivative, in double precision."""
        gain, sharpness, linear = self._slopes
        near = sharpness * (membrane.double() - self._threshold).abs()
        slopes: Tensor = gain / (1 + linear * near + near * near)
        return slopes


def _packed(vector: Tensor) -> bytes:
    return vector.bool().cpu().numpy().tobytes()


def _combined(vectors: Tensor, most: int) -> Iterator[Tensor]:
    """Sums and differences of two vectors that are binary, and of those and a third."""
    pairs = _pairs(vectors, vectors, most)
    yield pairs
    yield _pairs(pairs, vectors, most)


def _pairs(left: Tensor, right: Tensor, most: int) -> Tensor:
    """Sums of vectors without a common input, and differences where one holds the other."""
    shared = left @ right.T
    apart = (shared == 0).nonzero()
    if left is right:
        apart = apart[apart[:, 0] < apart[:, 1]]
    apart = apart[:most]
    holds = ((shared == right.sum(1)) & (shared < left.sum(1, keepdim=True))).nonzero()[:most]
    sums = left[apart[:, 0]] + right[apart[:, 1]]
    differences = left[holds[:, 0]] - right[holds[:, 1]]
    made: Tensor = torch.cat([differences, sums]).unique(dim=0)
    return made[:most]
