"""Networks of the target's recipe, each trained on the data of half of the users."""

import itertools
import math
from dataclasses import replace

import torch
from torch import Tensor

from brainleaks.data.parts import select
from brainleaks.errors import InputError
from brainleaks.pipeline.controls import Targets
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.pipeline.several import Job, train_several
from brainleaks.pipeline.shadows import Shadow
from brainleaks.randomness import stream

#: With fewer users, halves hardly differ.
_FEWEST = 4


def halves(users: int, count: int, generator: torch.Generator) -> Tensor:
    """Deal halves of the users to networks, ``(count, users)``, whether a network learns from each.

    Rows ``2 i`` and ``2 i + 1`` are the two sides of one division, so that every user is on one
    side of each. If there are enough networks, every division is dealt equally often, or, at the
    end, once less; otherwise divisions are drawn at random.

    Args:
        users: how many there are.
        count: of networks; even.
        generator: decides the order of divisions, and which side comes first.
    """
    size, pairs = users // 2, count // 2
    total = math.comb(users, size) // (1 if users % 2 else 2)
    if total <= pairs:
        # of an even number, the sides that hold the first user stand for their divisions
        sides = itertools.combinations(range(users), size)
        every = torch.zeros(total, users, dtype=torch.bool)
        for row, side in zip(every, (s for s in sides if users % 2 or 0 in s), strict=True):
            row[list(side)] = True
        rounds = range(math.ceil(pairs / total))
        order = torch.cat([torch.randperm(total, generator=generator) for _ in rounds])
        first = every[order[:pairs]]
    else:
        first = torch.rand(pairs, users, generator=generator).argsort(1) < size
    first ^= torch.rand(pairs, 1, generator=generator) < 0.5
    return torch.stack([first, ~first], 1).flatten(0, 1)


def train_on_halves(pipeline: Pipeline, targets: Targets, count: int) -> list[Shadow]:
    """Train networks on the training samples of half of the users each, or load them.

    Args:
        pipeline: keeps each network; its data names the users.
        targets: trains networks as the target was trained.
        count: how many networks; even.

    Returns:
        The networks, each with the users that it learned from, ``(U,)``; networks ``2 i`` and
        ``2 i + 1`` learned from the two sides of a division.

    Raises:
        InputError: if the data does not name its users, names too few, or has classes of one user.
    """
    users = users_of(pipeline)
    data = pipeline.dataset
    dealt = halves(int(users.max()) + 1, count, stream(pipeline.seed, "halves of the users"))
    jobs = [
        Job(f"users-{i + 1}", replace(data, train=select(data.train, half[users])))
        for i, half in enumerate(dealt)
    ]
    trained = train_several(targets.retrained, jobs, pipeline.cache, device=pipeline.device)
    return [Shadow(*found) for found in zip(trained, dealt, strict=True)]


def users_of(pipeline: Pipeline) -> Tensor:
    """The user of each training sample, after a check that user-level membership can be tested."""
    name, (_, labels, users) = pipeline.dataset.name, pipeline.dataset.train
    tests = pipeline.dataset.test.users
    if users is None or tests is None:
        raise InputError(
            f"{name} does not say which user each sample comes from; user-level membership needs "
            "data that does, such as fsdd."
        )
    count = int(torch.cat([users, tests]).max()) + 1
    if count < _FEWEST or len(users.unique()) < count or len(tests.unique()) < count:
        raise InputError(
            f"{name} has training samples of {len(users.unique())} users and test samples of "
            f"{len(tests.unique())}; at least {_FEWEST} users with samples of both are needed."
        )
    owners = [len(users[labels == label].unique()) for label in labels.unique()]
    if min(owners) == 1:
        raise InputError(
            f"{name} has classes of a single user; the classes of a network then tell whose data "
            "it learned from. User-level membership needs classes that users share."
        )
    return users
