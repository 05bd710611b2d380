"""Reference networks (shadow models) for membership attacks, each kept in the cache."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from brainleaks.attacks.membership.knowledge import Candidates, confidences
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.parts import joined, select
from brainleaks.monitor import Monitor
from brainleaks.pipeline.cache import Artefact
from brainleaks.pipeline.controls import Targets
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.randomness import stream

#: In each block of so many networks, every sample is in equally many training sets.
BLOCK = 4


@dataclass(frozen=True)
class Shadow:
    """A reference network, and the samples of the pool, train before test, that it learned from."""

    trained: Trained
    learned: Tensor


def pool(dataset: Dataset) -> Samples:
    """The training part, and after it the test part."""
    return joined(dataset.train, dataset.test)


def train_shadows(pipeline: Pipeline, targets: Targets, count: int) -> list[Shadow]:
    """Train networks on random parts of the data.

    Each sample is in the training sets of half of the networks, or of three quarters of them where
    the target, too, was trained on most of the data.

    Args:
        pipeline: keeps each network, so that more can be added later.
        targets: trains networks as the target was trained.
        count: how many; a multiple of :data:`BLOCK`.
    """
    samples = pool(pipeline.dataset)
    size, train = len(samples.labels), len(pipeline.dataset.train.labels)
    times = round(min(3.0, max(2.0, BLOCK * train / size)))
    drawn = [
        torch.rand(BLOCK, size, generator=stream(pipeline.seed, "shadows", block)).argsort(0)
        for block in range(count // BLOCK)
    ]
    return [
        _train(pipeline, targets, f"shadow-{i + 1}", samples, learned)
        for i, learned in enumerate(row < times for block in drawn for row in block)
    ]


def train_other(pipeline: Pipeline, targets: Targets) -> Shadow:
    """A network as the target, trained on as many samples, drawn from both parts of the data."""
    samples = pool(pipeline.dataset)
    size, train = len(samples.labels), len(pipeline.dataset.train.labels)
    order = torch.randperm(size, generator=stream(pipeline.seed, "other target"))
    learned = torch.zeros(size, dtype=torch.bool)
    learned[order[:train]] = True
    return _train(pipeline, targets, "control-other-target", samples, learned)


def _train(
    pipeline: Pipeline, targets: Targets, name: str, samples: Samples, learned: Tensor
) -> Shadow:
    """Train one network on the samples that ``learned`` selects."""
    data = replace(pipeline.dataset, train=select(samples, learned), test=select(samples, ~learned))
    return Shadow(targets.retrained(name, data), learned)


def reference_scores(
    pipeline: Pipeline, shadow: Shadow, candidates: Candidates, made_of: dict[str, Any]
) -> Tensor:
    """The confidence of a reference network in each class of the candidates, ``(N, C)``."""
    name = shadow.trained.name
    key = {
        "network": shadow.trained.key,
        "asked": made_of,
        "environment": pipeline.environment("reference-scores"),
    }

    def make(monitor: Monitor) -> Artefact:
        view = pipeline.view(shadow.trained, "scores")
        generator = stream(pipeline.seed, "reference scores")
        return Artefact({"scores": confidences(view, candidates, generator)})

    return pipeline.cache.get_or_make(f"ask:{name}", key, make).tensors["scores"]
