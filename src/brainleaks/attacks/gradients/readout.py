"""Hidden spikes before the last layer, in samples and in time order, from its gradient.

:mod:`brainleaks.attacks.gradients.subset_sums` finds the errors of single time steps and the hidden
neurons that fired with each. The loss is the cross-entropy of the output membrane ``U[t]``, summed
over time, so that

    error[t] = p[t] - y + beta * error[t + 1],    p[t] = softmax(U[t]),

with the label's one-hot vector ``y``. Two errors in a row therefore give ``p[t]``; that gives
``U[t]`` up to a constant, which a softmax does not see; and ``U[t]`` and the hidden spikes give
``U[t-1]``, and so the error of the step before. Each sample is walked from its last time step to
its first. What is met is certain, as nothing but the right order predicts it.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from brainleaks.attacks.gradients.subset_sums import (
    different_columns,
    errors_between,
    exact_subsets,
    nearest_subsets,
    single_errors,
    size,
)
from brainleaks.neuron import LIF

#: How often errors are looked for between known ones, and in what the walks expect.
_ROUNDS, _PASSES = 4, 3
#: How far an error may be from the expected one, where both are known to rounding.
_CERTAIN = 1e-5


class Sample(NamedTuple):
    """One sample, walked back.

    Attributes:
        steps: the error of each time step, ``(T,)``, as an index; -1 where no hidden neuron fired,
            or none was found.
        expected: the errors that the walk expected, ``(T, C)``.
        certain: the time steps whose error is the expected one to rounding, ``(T,)``.
        label: its class.
    """

    steps: np.ndarray
    expected: np.ndarray
    certain: np.ndarray
    label: int


class Found(NamedTuple):
    """What a gradient shows.

    Attributes:
        hidden: spikes ``(T, B, D)``, of 0 and 1.
        labels: ``(B,)``.
        certain: the time steps whose hidden spikes are explained to rounding, ``(T, B)``.
    """

    hidden: Tensor
    labels: Tensor
    certain: Tensor


def hidden_spikes(gradient: np.ndarray, last: nn.Linear, neuron: LIF, steps: int) -> Found:
    """The spikes before the last layer.

    Args:
        gradient: of the last layer's weights, times the batch size, ``(C, D)``.
        last: that layer.
        neuron: behind it.
        steps: how many time steps a sample has.
    """
    search = _Search(gradient, last, neuron, steps)
    search.explain()
    for _ in range(_PASSES):
        samples = search.walked()
        if not samples or not search.unknown.any():
            break
        search.expect(samples)
    samples, spikes = search.walked(), search.spikes()
    hidden = np.zeros((steps, len(samples), gradient.shape[1]), np.float32)
    certain = np.zeros((steps, len(samples)), bool)
    doubtful = search.doubtful()
    for b, sample in enumerate(samples):
        fired = sample.steps >= 0
        hidden[fired, b] = spikes[sample.steps[fired]]
        certain[:, b] = ~(hidden[:, b] * doubtful).any(1) & sample.certain
    labels = torch.tensor([sample.label for sample in samples], dtype=torch.long)
    return Found(torch.from_numpy(hidden), labels, torch.from_numpy(certain))


class _Search:
    """Errors ``(R, C)``, and the subset of them that each different column is."""

    def __init__(self, gradient: np.ndarray, last: nn.Linear, neuron: LIF, steps: int) -> None:
        self._columns = different_columns(gradient)
        self._weight, self._bias = (
            p.detach().double().cpu().numpy() for p in (last.weight, last.bias)
        )
        self._beta, self._steps = neuron.beta, steps
        self._most = sum(neuron.beta**t for t in range(steps))
        self._errors = single_errors(self._columns.values, self._most)
        self._subsets = np.zeros((len(self._columns.values), len(self._errors)))
        self.unknown = np.ones(len(self._columns.values), bool)

    def explain(self) -> None:
        """Columns by the errors that neurons show alone, or beside others."""
        for _ in range(_ROUNDS):
            self._complete()
            values = self._columns.values[self.unknown]
            more = errors_between(values, self._errors, self._most)
            if not len(more):
                break
            self._add(more)

    def expect(self, samples: list[Sample]) -> None:
        """The other columns, by the errors that were expected where none was met.

        An expected error is nearly right. Where a column needs one of them, what known errors leave
        of the column is the error itself.
        """
        expected = np.concatenate([s.expected[s.steps < 0] for s in samples])
        values, count = self._columns.values[self.unknown], len(self._errors)
        nearest = nearest_subsets(values, np.concatenate([self._errors, expected]))
        nearest = np.nan_to_num(nearest)
        known, guessed = nearest[:, :count], nearest[:, count:]
        one = guessed.sum(1) == 1
        more = {
            int(guessed[i].argmax()): values[i] - known[i] @ self._errors
            for i in np.flatnonzero(one)[::-1]  # the smallest column is the last to be entered
        }
        self._subsets[self.unknown] = known
        self._add(np.array([*more.values()]).reshape(-1, values.shape[1]))
        self._complete()

    def walked(self) -> list[Sample]:
        """The samples that end with an error of a last time step, which is less than one."""
        if not len(self._errors):
            return []
        currents = self.spikes() @ self._weight.T + self._bias
        walk = _Walk(self._errors, currents, self._bias, self._beta)
        ends = np.flatnonzero(size(self._errors) < 1)
        return [walk.back(int(end), self._steps) for end in ends]

    def spikes(self) -> np.ndarray:
        """Of the hidden neurons behind each error, ``(R, D)``; nearest ones where not explained."""
        return self._of_neurons(self._subsets)

    def doubtful(self) -> np.ndarray:
        """Neurons that are not explained to rounding, ``(D,)``."""
        neurons: np.ndarray = self._of_neurons(self.unknown[:, None] * 1.0)[0]
        return neurons

    def _of_neurons(self, columns: np.ndarray) -> np.ndarray:
        which, found = self._columns.which, np.zeros((columns.shape[1], len(self._columns.which)))
        found[:, which >= 0] = columns[which[which >= 0]].T
        return found

    def _add(self, errors: np.ndarray) -> None:
        self._errors = np.concatenate([self._errors, errors])
        self._subsets = np.pad(self._subsets, ((0, 0), (0, len(errors))))

    def _complete(self) -> None:
        """Explain columns to rounding that were not so yet."""
        found = exact_subsets(self._columns.values[self.unknown], self._errors)
        explained = ~np.isnan(found).any(1) if found.shape[1] else np.zeros(len(found), bool)
        places = np.flatnonzero(self.unknown)[explained]
        self._subsets[places] = found[explained]
        self.unknown[places] = False


class _Walk:
    """Back through time, from the error of a last time step."""

    def __init__(
        self, errors: np.ndarray, currents: np.ndarray, silent: np.ndarray, beta: float
    ) -> None:
        self._errors, self._currents, self._silent, self._beta = errors, currents, silent, beta
        self._near = cKDTree(errors)
        # an error is met within half of the way to the next one
        self._reach = self._near.query(errors, k=2)[0][:, 1] / 2 if len(errors) > 1 else [1.0]
        self._free = np.ones(len(errors), bool)

    def back(self, end: int, steps: int) -> Sample:
        """The sample that ends with an error."""
        error, label = self._errors[end], int(self._errors[end].argmin())
        met, expected, after = np.full(steps, -1), np.tile(error, (steps, 1)), np.zeros_like(error)
        met[-1] = end
        for t in range(steps - 1, 0, -1):
            said = np.log(np.clip(self._said(error, after, label), 1e-12, None))
            current = self._currents[met[t]] if met[t] >= 0 else self._silent
            before = (said - current) / self._beta
            odds = np.exp(before - before.max())
            expected[t - 1] = odds / odds.sum() + self._beta * error
            expected[t - 1, label] -= 1
            met[t - 1] = self._met(expected[t - 1], error, label)
            after, error = error, expected[t - 1] if met[t - 1] < 0 else self._errors[met[t - 1]]
        off = np.abs(self._errors[met] - expected).max(1)
        certain = (met >= 0) & (off < _CERTAIN)
        certain[-1] &= certain[-2:].all()  # nothing was expected of the last step
        return Sample(met, expected, certain, label)

    def _said(self, error: np.ndarray, after: np.ndarray, label: int) -> np.ndarray:
        """The softmax between two errors in a row."""
        said: np.ndarray = error - self._beta * after
        said[label] += 1
        return said

    def _met(self, wanted: np.ndarray, after: np.ndarray, label: int) -> int:
        """The error that a wanted one is, or -1."""
        distance, at = self._near.query(wanted)
        near = distance < self._reach[at] and self._free[at]
        if not near or self._said(self._errors[at], after, label).min() <= 0:
            return -1
        self._free[at] = False
        return int(at)
