"""Which spike vectors belong to one sample, and in which order, from the errors behind them.

Back through time, a neuron's error is what this step adds, and ``beta`` times that of the next:
``error[t] = surrogate'(V[t]) * direct[t] + beta * error[t + 1]``. What a step adds is large at the
few neurons near their threshold and nearly nothing elsewhere, so that most of ``error[t]`` *is*
``beta * error[t + 1]``. Each vector's successor is therefore the one that leaves least to be added.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def errors(gradient: Tensor, vectors: Tensor) -> Tensor:
    """The error behind each input vector, ``(R, H)``: ``gradient = errors.T @ vectors``.

    Args:
        gradient: of a layer's weights, ``(H, D)``.
        vectors: the layer's inputs, ``(R, D)``, independent.
    """
    basis, triangle = torch.linalg.qr(vectors.double().T)
    seen = (gradient.double() @ basis).T
    found: Tensor = torch.linalg.solve_triangular(triangle, seen, upper=True).to(gradient)
    return found


def chains(
    errors: Tensor,
    decay: float | Tensor,
    samples: int | None = None,
    known: Sequence[Sequence[int]] = (),
) -> list[list[int]]:
    """Vectors in time order, one list a sample.

    Args:
        errors: ``(R, H)``.
        decay: the membrane's ``beta``, one for all neurons or ``(H,)``.
        samples: how many there are, if that is known.
        known: beginnings of samples, which are kept.

    Returns:
        Indices of the vectors, every one of them in one list, the longest list first.
    """
    count = len(errors)
    # the square root, as steps differ in how much they add
    costs = torch.cdist(errors, errors * decay, p=1).sqrt()
    never = 2 * float(costs.max()) + 1.0
    costs.fill_diagonal_(never)
    for sample in known:
        costs[:, list(sample)] = never
        before, after = list(sample[:-1]), list(sample[1:])
        costs[before] = never
        costs[before, after] = 0
    alone = errors.abs().sum(1, keepdim=True).sqrt()  # all is added by a step without a successor
    ends = alone.expand(count, min(samples or count, count))
    _, chosen = linear_sum_assignment(torch.cat([costs, ends], 1).cpu().numpy())
    successor = {i: int(j) for i, j in enumerate(chosen) if j < count}
    return sorted(_walked(successor, count, costs), key=len, reverse=True)


def alike(means: Tensor, groups: int) -> list[list[int]]:
    """Which of several encoded samples are the same one, by their mean over time.

    Average linkage over correlations.

    Args:
        means: ``(N, D)``.
        groups: how many samples there are.

    Returns:
        Indices, every one of them in one list.
    """
    if len(means) <= groups:
        return [[i] for i in range(len(means))]
    distances = 1 - np.corrcoef(means.cpu().numpy())
    upper = np.triu_indices(len(means), 1)
    group = fcluster(linkage(distances[upper], "average"), groups, "maxclust")
    return [np.flatnonzero(group == g).tolist() for g in sorted(set(group))]


def _walked(successor: dict[int, int], count: int, costs: Tensor) -> list[list[int]]:
    """The paths of successors; a circle is cut at its least likely link."""
    for circle in _circles(successor, count):
        del successor[max(circle, key=lambda i: float(costs[i, successor[i]]))]
    starts = set(range(count)) - set(successor.values())
    return [_followed(start, successor) for start in sorted(starts)]


def _circles(successor: dict[int, int], count: int) -> list[list[int]]:
    """Those that never end."""
    left = set(range(count))
    for start in left - set(successor.values()):
        left -= set(_followed(start, successor))
    found = []
    while left:
        found.append(_followed(min(left), successor))
        left -= set(found[-1])
    return found


def _followed(start: int, successor: dict[int, int]) -> list[int]:
    path = [start]
    while (after := successor.get(path[-1])) is not None and after != start:
        path.append(after)
    return path
