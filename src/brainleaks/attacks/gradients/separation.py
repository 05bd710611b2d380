"""The binary vectors in a subspace: the spikes behind a weight gradient.

The gradient of a fully connected layer's weights is a sum over samples and time steps of
``error x input``. Its rows therefore span the private inputs, as long as there are no more of them
than neurons. Spikes are binary, and a subspace holds hardly any other binary vectors.

A neuron's row is the sum of the inputs weighted by that neuron's errors, and surrogate derivatives
make these heavy-tailed: a neuron near its threshold at one time step all but names the input of
that step. Each row, cut at two levels, is therefore a start. From there, reflections between the
subspace and the binary vectors arrive at a vector that is in both (the relaxed-reflect-reflect map;
Elser, Lan and Bendory, "Benchmark problems for phase retrieval", 2018). Rounding is soft at first
and hardens; hard rounding from the start arrives half as often where spikes are sparse, and
alternating projections do not arrive from the rows of large batches. What was found is then
projected out of the rows, so that others stand out.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from brainleaks.monitor import Monitor

#: A singular value below the next larger one by this factor ends the span.
_CLIFF = 10.0
#: Smaller ones, relative to the largest, are noise in single precision.
_NOISE = 3e-7
#: How exactly the basis holds a vector of the span, at any input.
_ROUNDING = 2e-3
_BINS = 64
#: Rows that are tried at once, and reflections of each.
_ROWS, _REFLECTIONS, _CHECKED_EVERY = 256, 40, 5
_RELAXATION = 0.5
#: How soft rounding is, from the first reflection to the last: the width of a logistic function.
_SOFT, _HARD = 0.2, 0.02
#: A row is tried again once what was found took this share of its length away.
_CHANGED = 0.01
_ROUNDS = 500
#: Rounds in a row without a new vector after which the search ends.
_PATIENCE = 3
#: What a vector must add to those before it, in Euclidean length, to be independent of them.
_INDEPENDENT = 1e-2
#: Of so many vectors for each input that fires, the span says too little.
_FULL = 0.8
#: Rows are chosen by what they are at so many inputs.
_INPUTS = 2000


class Span(NamedTuple):
    """The row space of a gradient.

    Attributes:
        basis: orthonormal columns, ``(D, R)``.
        rows: the gradient's rows in that basis, ``(H, R)``, with all singular values above a tenth
            of the way down cut to that one: what all inputs have in common does not hide what
            each has alone.
        tolerance: how far a binary vector of the span may be from its projection at each input,
            ``(D,)``. That is rounding, and more behind a low cliff, as of a gradient with noise.
            One wrong bit would be four times as far, unless its input alone is nearly in the span.
        cliff: the factor by which singular values drop after the ``R``-th; 1 where none does.
    """

    basis: Tensor
    rows: Tensor
    tolerance: Tensor
    cliff: float


def span(gradient: Tensor, expected: int | None = None) -> Span:
    """The row space of a gradient ``(H, D)``, up to the cliff in its singular values.

    Args:
        gradient: of a layer's weights.
        expected: how many vectors there are at most, if that is known. Without a cliff, as of a
            gradient with noise, so many are taken.
    """
    most, size = min(gradient.shape), (expected or 100) + 32
    enough = most if expected is None else min(most, 2 * size)
    while True:
        left, values, basis = _leading(gradient, min(size, most))
        rank, cliff = _cliff(values)
        if rank < len(values) or size >= enough:
            break
        size *= 2
    if expected is not None and rank < expected / 2 and cliff < _CLIFF**2:
        rank, cliff = len(values), 1.0  # what all inputs have in common stands out from noise
    if cliff == 1 and expected is not None:
        rank = min(rank, expected)
    values, kept = values[:rank], basis[:, :rank].contiguous()
    rows = left[:, :rank] * values.clamp(max=float(values[rank // 10]))
    noise = max(_ROUNDING, 1 / cliff)
    tolerance = (0.25 * (1 - (kept**2).sum(1))).clamp(_ROUNDING, noise)
    return Span(kept, rows, tolerance, cliff)


def _leading(gradient: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The largest singular values and their vectors (Halko, Martinsson and Tropp 2011)."""
    probe = torch.randn(len(gradient), size, generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(gradient.T @ probe.to(gradient)).Q
    basis = torch.linalg.qr(gradient.T @ torch.linalg.qr(gradient @ basis).Q).Q
    left, values, rotation = torch.linalg.svd(gradient @ basis, full_matrices=False)
    return left, values, basis @ rotation.T


def _cliff(values: Tensor) -> tuple[int, float]:
    """How many singular values stand before the largest drop, and how large it is."""
    above = max(1, int((values > _NOISE * values[0]).sum()))
    drops = (values[:-1] / values[1:].clamp_min(1e-30))[:above]
    if len(drops) and float(drops.max()) >= _CLIFF:
        return int(drops.argmax()) + 1, float(drops.max())
    return above, 1.0


def binary_vectors(space: Span, *, monitor: Monitor | None = None) -> Tensor:
    """Binary vectors in the row space of a gradient, ``(K, D)``.

    Behind a cliff, each is certified: hardly any other binary vector is as near to the span.

    Args:
        space: the row space.
        monitor: is told how many were found.

    Returns:
        Vectors of 0 and 1, none of them zero, that differ from their projections to the span by
        less than its tolerance. None if there are nearly as many vectors as inputs that fire: the
        span then holds nearly every binary vector. And none if all neurons are spanned: the span
        of the vectors is then larger than what the gradient shows.
    """
    monitor, rows = monitor or Monitor(), space.rows
    firing = int(((space.basis**2).sum(1) > 1e-6).sum())
    if space.basis.shape[1] > _FULL * firing or space.basis.shape[1] == len(rows):
        return space.basis.T[:0]
    start = {"found": space.basis.T[:0], "fresh": rows.new_ones(len(rows))}
    state = monitor.resume(start)
    found, fresh = state["found"], state["fresh"] > 0
    left, idle = _without(rows, found @ space.basis), 0
    for i in monitor.remaining(_ROUNDS):
        chosen = _most_divided(left, fresh, space)
        fresh[chosen] = False
        points = left[chosen] @ space.basis.T
        above = (points > two_levels(points)[0]).to(points)
        arrived = _reflected(torch.cat([above, 1 - above]), space)
        count, before = len(found), left.norm(dim=1)
        found = _smallest(torch.cat([found, arrived]), space)
        idle = 0 if len(found) > count else idle + 1
        left = _without(rows, found @ space.basis)
        fresh |= left.norm(dim=1) < (1 - _CHANGED) * before
        monitor.advance(i, {"found": found, "fresh": fresh.to(rows)}, found=float(len(found)))
        if len(found) >= space.basis.shape[1] or not fresh.any() or idle == _PATIENCE:
            break
    return independent(found, space)


def _smallest(vectors: Tensor, space: Span) -> Tensor:
    """Independent vectors with few spikes that span what the vectors ``(K, D)`` span.

    Where few inputs fire, sums of vectors that share no input are binary too. A vector that holds
    another one is replaced by their difference, which is in the span as well.
    """
    vectors, most = vectors.unique(dim=0), space.basis.shape[1]
    reduced = False
    while len(vectors):
        vectors = vectors[vectors.sum(1).argsort(stable=True)]
        size = vectors.sum(1)
        within = (vectors @ vectors.T == size[:, None]) & (size[:, None] < size)
        if not within.any():
            break
        reduced = True
        order = torch.arange(1, len(size) + 1, device=size.device)[:, None]
        largest = (within * order).amax(0)  # 0 where there is none
        held = torch.where(largest[:, None] > 0, vectors[largest - 1], 0.0)
        vectors = (vectors - held).unique(dim=0)
    return independent(vectors, space) if reduced or len(vectors) > most else vectors


def independent(vectors: Tensor, space: Span) -> Tensor:
    """The vectors ``(K, D)`` that are independent of those before them."""
    triangle = torch.linalg.qr((vectors @ space.basis).double().T).R
    kept = torch.zeros(len(vectors), dtype=torch.bool, device=vectors.device)
    kept[: len(triangle)] = triangle.diagonal().abs() > _INDEPENDENT
    return vectors[kept]


def completed(known: Tensor, vectors: Tensor, space: Span) -> Tensor:
    """Independent vectors ``known`` ``(J, D)``, and those of ``(K, D)`` that add most to them."""
    if not len(known):
        return vectors
    more = (vectors @ space.basis).double()
    directions = torch.linalg.qr((known @ space.basis).double().T).Q
    more -= (more @ directions) @ directions.T
    triangle, order = scipy.linalg.qr(more.T.cpu().numpy(), mode="r", pivoting=True)
    adds = np.abs(np.diagonal(triangle)) > _INDEPENDENT
    return torch.cat([known, vectors[order[: int(adds.sum())].tolist()]])


def _most_divided(rows: Tensor, fresh: Tensor, space: Span) -> Tensor:
    """The rows to start from: the fresh ones that two levels describe best, at some inputs."""
    some = torch.randperm(len(space.basis), generator=torch.Generator().manual_seed(0))[:_INPUTS]
    _, explained = two_levels(rows @ space.basis[some.to(rows.device)].T)
    best: Tensor = explained.masked_fill(~fresh, -1).topk(min(_ROWS, int(fresh.sum()))).indices
    return best


def _without(rows: Tensor, found: Tensor) -> Tensor:
    """Rows ``(H, R)`` less their projections to what was found, ``(K, R)``."""
    known = torch.linalg.qr(found.T).Q
    left: Tensor = rows - (rows @ known) @ known.T
    return left


def two_levels(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Where to cut each row ``(N, D)`` in two, ``(N, 1)``, and what share of its variance goes.

    The cut that explains most of the variance (Otsu 1979), over 64 bins.
    """
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    bins = (
        ((rows - low) / (high - low).clamp_min(1e-30) * (_BINS - 1e-3)).long().clamp_(0, _BINS - 1)
    )
    counts = rows.new_zeros(len(rows), _BINS).scatter_add_(1, bins, torch.ones_like(rows))
    places = torch.arange(_BINS, device=rows.device, dtype=rows.dtype)
    below, mass = counts.cumsum(1), (counts * places).cumsum(1)
    size, total = below[:, -1:], mass[:, -1:]
    between = (total * below / size - mass) ** 2 / (below * (size - below)).clamp_min(1)
    best, cut = between.max(1, keepdim=True)
    variance = (counts * (places - total / size) ** 2).sum(1, keepdim=True) / size
    return low + (high - low) * (cut + 1) / _BINS, (best / variance.clamp_min(1e-30)).squeeze(1)


def _reflected(points: Tensor, space: Span) -> Tensor:
    """Binary vectors of the span that reflections from ``points`` ``(N, D)`` arrive at."""
    arrived, basis = [points[:0]], space.basis
    for i in range(_REFLECTIONS):
        width = _SOFT * (_HARD / _SOFT) ** (i / _REFLECTIONS)
        rounded = torch.sigmoid((points - 0.5) / width)
        gap = (((2 * rounded - points) @ basis) @ basis.T).sub_(rounded)
        points = points + _RELAXATION * gap
        if i % _CHECKED_EVERY != _CHECKED_EVERY - 1:
            continue
        binary = (rounded > 0.5).to(points)
        sure = certified(binary, space)
        arrived.append(binary[sure])
        points = points[~sure]
        if not len(points):
            break
    return torch.cat(arrived)


def certified(vectors: Tensor, space: Span) -> Tensor:
    """Which binary vectors ``(N, D)`` are in the span, up to its tolerance, and not zero."""
    off = (vectors @ space.basis) @ space.basis.T - vectors
    sure: Tensor = (off.abs() < space.tolerance).all(1) & vectors.any(1)
    return sure
