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
from brainleaks.pipeline.several import Job, train_several
from brainleaks.randomness import stream
from brainleaks.target import Access

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


def train_references(
    pipeline: Pipeline, targets: Targets, count: int
) -> tuple[list[Shadow], Shadow]:
    """Train networks on random parts of the data, several at once.

    Args:
        pipeline: keeps each network, so that more can be added later.
        targets: trains networks as the target was trained.
        count: how many reference networks; a multiple of :data:`BLOCK`.

    Returns:
        The reference networks: each sample is in the training sets of half of them, or of three
        quarters where the target, too, was trained on most of the data. And another target, for a
        control, trained on as many samples as the target, drawn from both parts of the data.
    """
    samples = pool(pipeline.dataset)
    learned = [*_shadows_learn(pipeline, count), _other_learns(pipeline)]
    names = [*(f"shadow-{i + 1}" for i in range(count)), "control-other-target"]
    jobs = [Job(n, _split(pipeline, samples, some)) for n, some in zip(names, learned, strict=True)]
    trained = train_several(targets.retrained, jobs, pipeline.cache, device=pipeline.device)
    *shadows, other = [Shadow(*found) for found in zip(trained, learned, strict=True)]
    return shadows, other


def _shadows_learn(pipeline: Pipeline, count: int) -> list[Tensor]:
    """The samples of the pool that each reference network learns from, as masks."""
    size = len(pipeline.dataset.train.labels) + len(pipeline.dataset.test.labels)
    times = BLOCK * shadow_share(pipeline.dataset)
    drawn = [
        torch.rand(BLOCK, size, generator=stream(pipeline.seed, "shadows", i)).argsort(0)
        for i in range(count // BLOCK)
    ]
    return [row < times for block in drawn for row in block]


def shadow_share(dataset: Dataset) -> float:
    """The probability with which a sample is in a reference network's training set."""
    train, test = len(dataset.train.labels), len(dataset.test.labels)
    return round(min(3.0, max(2.0, BLOCK * train / (train + test)))) / BLOCK


def _other_learns(pipeline: Pipeline) -> Tensor:
    train, test = (len(part.labels) for part in (pipeline.dataset.train, pipeline.dataset.test))
    order = torch.randperm(train + test, generator=stream(pipeline.seed, "other target"))
    learned = torch.zeros(train + test, dtype=torch.bool)
    learned[order[:train]] = True
    return learned


def _split(pipeline: Pipeline, samples: Samples, learned: Tensor) -> Dataset:
    """The data of a network that learns from the samples that ``learned`` selects."""
    data = pipeline.dataset
    return replace(data, train=select(samples, learned), test=select(samples, ~learned))


def reference_scores(
    pipeline: Pipeline,
    shadow: Shadow,
    candidates: Candidates,
    made_of: dict[str, Any],
    access: Access = "scores",
) -> Tensor:
    """The confidence of a reference network in each class of the candidates, ``(N, C)``.

    Defences of answers change it, but not for an attacker with more ``access`` than scores.
    """
    name = shadow.trained.name
    key = {
        "network": pipeline.seen(shadow.trained, access),
        "asked": made_of,
        "environment": pipeline.environment("reference-scores"),
    }

    def make(monitor: Monitor) -> Artefact:
        view = pipeline.view(shadow.trained, access)
        generator = stream(pipeline.seed, "reference scores")
        return Artefact({"scores": confidences(view, candidates, generator)})

    return pipeline.cache.get_or_make(f"ask:{name}", key, make).tensors["scores"]
