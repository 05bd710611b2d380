"""An evaluator judges reconstructions (PROTOCOL, Metrics)."""

from typing import Any, NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from brainleaks.data.encoding import bernoulli
from brainleaks.evaluation.metrics import Metrics, metrics
from brainleaks.monitor import Monitor
from brainleaks.networks import respond_in_pieces
from brainleaks.randomness import draw_seed, stream

_SAMPLES_A_PASS = 100


class Draws(TypedDict):
    """Each metric's mean and standard deviation over ``n`` Bernoulli draws."""

    n: int
    mean: Metrics
    std: Metrics


class Judgement(NamedTuple):
    """One evaluator's predictions for one reconstruction per class.

    ``matrix`` is ``(C, C)``, the confidences that ``metrics`` is read from; ``draws`` is there
    for spike probabilities only.
    """

    metrics: Metrics
    matrix: Tensor
    draws: Draws | None


def judge(
    evaluator: Any,
    reconstruction: Tensor,
    *,
    draws: int,
    generator: torch.Generator,
    monitor: Monitor | None = None,
) -> Judgement:
    """Evaluate one reconstruction per class with a spiking or an ordinary evaluator."""
    if not evaluator.spiking:
        return judge_images(evaluator, reconstruction)
    return judge_spikes(
        evaluator, reconstruction, draws=draws, generator=generator, monitor=monitor
    )


def judge_images(evaluator: nn.Module, images: Tensor) -> Judgement:
    """Evaluate images ``(C, channels, H, W)``, each min-max scaled to [0, 1] first."""
    matrix = confidences(evaluator, scale_each(images))
    return Judgement(metrics(matrix), matrix, None)


def judge_spikes(
    evaluator: nn.Module,
    reconstruction: Tensor,
    *,
    draws: int,
    generator: torch.Generator,
    monitor: Monitor | None = None,
) -> Judgement:
    """Evaluate spike trains or spike probabilities, ``(T, C, channels, H, W)`` in [0, 1].

    Probabilities are judged on one Bernoulli draw, and on ``draws`` draws for a mean and a
    standard deviation.
    """
    if is_binary(reconstruction):
        matrix = confidences(evaluator, reconstruction)
        return Judgement(metrics(matrix), matrix, None)
    seed = draw_seed(generator)
    matrix = confidences(evaluator, _draw(reconstruction, seed, range(1)))
    each = _judge_draws(evaluator, reconstruction, seed, draws, monitor or Monitor())
    return Judgement(metrics(matrix), matrix, _summary(each))


def confidences(evaluator: nn.Module, inputs: Tensor) -> Tensor:
    """``mean over t of softmax(U[t])`` for each input: ``(B, C)``."""
    return respond_in_pieces(evaluator, inputs).membrane.softmax(-1).mean(0)


def is_binary(reconstruction: Tensor) -> bool:
    """Whether every entry is 0 or 1: spikes, not probabilities of spikes."""
    return bool(((reconstruction == 0) | (reconstruction == 1)).all())


def scale_each(images: Tensor) -> Tensor:
    """Min-max scale each image of ``(B, ...)`` to [0, 1]; one without contrast becomes 0."""
    axes = tuple(range(1, images.ndim))
    low, high = images.amin(axes, keepdim=True), images.amax(axes, keepdim=True)
    span = high - low
    return (images - low) / span.where(span > 0, 1.0)


def _judge_draws(
    evaluator: nn.Module, probabilities: Tensor, seed: int, draws: int, monitor: Monitor
) -> list[Metrics]:
    classes = probabilities.shape[1]
    together = max(1, _SAMPLES_A_PASS // classes)
    passes = [range(lo, min(lo + together, draws)) for lo in range(0, draws, together)]
    state = monitor.resume({"metrics": torch.zeros(0, len(Metrics.__annotations__)).double()})
    for i in monitor.remaining(len(passes)):
        matrices = confidences(evaluator, _draw(probabilities, seed, passes[i]))
        rows = [list(metrics(matrix).values()) for matrix in matrices.split(classes)]
        state = {"metrics": torch.cat([state["metrics"], torch.tensor(rows, dtype=torch.float64)])}
        monitor.advance(i, state, attack_accuracy=float(state["metrics"][:, 0].mean()))
    return [_named(row) for row in state["metrics"].tolist()]


def _draw(probabilities: Tensor, seed: int, which: range) -> Tensor:
    """Draws number ``which``, side by side in the batch; each has its own stream."""
    device = probabilities.device
    return torch.cat(
        [bernoulli(probabilities, stream(seed, "draw", i, device=device)) for i in which], 1
    )


def _summary(each: list[Metrics]) -> Draws:
    table = torch.tensor([list(m.values()) for m in each], dtype=torch.float64)
    mean, std = table.mean(0).tolist(), table.std(0, correction=0).tolist()
    return Draws(n=len(each), mean=_named(mean), std=_named(std))


def _named(row: list[float]) -> Metrics:
    """Metrics from their values in order."""
    accuracy, top3, confidence, daa = row
    return Metrics(attack_accuracy=accuracy, top3_accuracy=top3, confidence=confidence, daa=daa)
