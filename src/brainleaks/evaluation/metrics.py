"""The protocol's four metrics, from one matrix of confidences (PROTOCOL, Metrics)."""

from typing import TypedDict

from torch import Tensor

from brainleaks.errors import InputError


class Metrics(TypedDict):
    """Fractions from 0 to 1."""

    attack_accuracy: float
    top3_accuracy: float
    confidence: float
    daa: float


def metrics(matrix: Tensor) -> Metrics:
    """Compute the metrics from an evaluator's confidences.

    Args:
        matrix: ``Q``, ``(C, C)``; ``Q[i, c]`` is the confidence in class ``c`` for the
            reconstruction made for class ``i``.

    Returns:
        attack_accuracy: share of rows whose largest entry is their own class;
        top3_accuracy: share of rows whose own class is among their three largest entries;
        confidence: mean of the diagonal;
        daa: distinct attack accuracy, the share of columns whose largest entry belongs to the
        reconstruction made for that class.

    Raises:
        ValueError: if ``matrix`` is not square.
        InputError: if it is not finite: there is nothing to judge.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"the confidence matrix has shape {tuple(matrix.shape)}; expected (C, C).")
    if not matrix.isfinite().all():
        raise InputError(
            "the evaluator's confidences are NaN or infinite: the reconstruction or the "
            "evaluator's weights are damaged, or its training diverged."
        )
    own = matrix.diagonal()
    truth = own.new_tensor(range(len(own))).long()
    top = matrix.topk(min(3, len(own)), dim=1).indices
    return Metrics(
        attack_accuracy=float((matrix.argmax(1) == truth).double().mean()),
        top3_accuracy=float((top == truth.unsqueeze(1)).any(1).double().mean()),
        confidence=float(own.double().mean()),
        daa=float((matrix.argmax(0) == truth).double().mean()),
    )
