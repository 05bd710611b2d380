"""User-level membership: one score a user, for many networks that learned from half of the users.

An attack of this kind is called with ``(target, candidates, references)``, of
:mod:`brainleaks.attacks.membership.knowledge`, whose samples name their users, and returns ``(U,)``
scores, larger for members. One network decides nothing about a handful of users. Networks of the
target's recipe are therefore trained on half of the users each, and each is attacked in turn; the
others are its reference networks.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, cast

import torch
from torch import Tensor

from brainleaks.attacks.membership.knowledge import Candidates, References
from brainleaks.attacks.membership.user_inference import UserInference
from brainleaks.data.dataset import Samples, SpikeTrains
from brainleaks.data.parts import select
from brainleaks.errors import InputError
from brainleaks.evaluation.users import claim, measured, undecided
from brainleaks.pipeline.evidence.kind import Case, Evidence, Kind
from brainleaks.pipeline.keys import digest
from brainleaks.pipeline.shadows import Shadow, reference_scores
from brainleaks.pipeline.user_networks import train_on_halves
from brainleaks.randomness import stream
from brainleaks.studies.testing import Membership
from brainleaks.target import RANKS

NAME = "user-membership"
CONTROLS = ("shuffled-users",)
Queries = Literal["other", "trained"]


def gather(case: Case) -> Evidence:
    """Score every user of every network by every attack."""
    missing = case.targets.missing.get("shuffled-labels")
    if missing is not None:
        return Evidence({}, [undecided(f"Networks on half of the users: {missing}.")])
    return _Gathering(case).run()


KIND = Kind(name=NAME, controls=CONTROLS, levels=(3,), gather=gather)


def draw(users: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Indices of at most so many samples of each user, drawn at random, in order."""
    order = torch.randperm(len(users), generator=generator)
    each = [order[users[order] == user][:most] for user in users.unique()]
    return torch.cat(each).sort().values


@dataclass
class _Gathering:
    case: Case

    def run(self) -> Evidence:
        found: dict[str, Any] = {}
        scores: dict[str, Tensor] = {}
        for name, attack in self.attacks.items():
            ask = partial(self._scores, name, attack)
            asked = self.case.pipeline.failures.attempt("attack", name, ask)
            if asked is not None:
                scores[name], told = asked
                shown = measured(scores[name].numpy(), self.member.numpy())
                found[name] = shown | told
        networks, users = self.member.shape
        facts = {
            "users": users,
            "networks": networks,
            "accuracy": self._recognised(),
            "attacks": found,
        }
        tensors = {name: values.float() for name, values in scores.items()}
        files = {NAME: tensors | {"member": self.member}}
        return Evidence(facts, [claim(found, networks)], tensors=files)

    @property
    def attacks(self) -> dict[str, UserInference]:
        return cast("dict[str, UserInference]", self.case.attacks)

    @cached_property
    def settings(self) -> Membership:
        return self.case.pipeline.study.membership or Membership()

    @cached_property
    def networks(self) -> list[Shadow]:
        return train_on_halves(self.case.pipeline, self.case.targets, self.settings.shadows)

    @cached_property
    def member(self) -> Tensor:
        """Whether a network learned from a user, ``(K, U)``."""
        return torch.stack([network.learned for network in self.networks])

    def _candidates(self, queries: Queries) -> tuple[Candidates, dict[str, Any]]:
        """What the attacks query, and what determines it."""
        pipeline, users = self.case.pipeline, self.member.shape[1]
        data = pipeline.dataset
        part: Samples = data.test if queries == "other" else data.train
        if part.users is None:
            raise InputError(f"{data.name} does not say which user each sample comes from.")
        most = max(1, self.settings.samples // users)
        places = draw(part.users, most, stream(pipeline.seed, "queries", queries))
        encoded = pipeline.study.spiking and not isinstance(part.inputs, SpikeTrains)
        draws = self.settings.draws if encoded else 1
        made_of = {
            "data": data.fingerprint,
            "samples": digest({"places": places.tolist(), "users": part.users.tolist()}),
            "queries": queries,
            "draws": draws,
            "seed": pipeline.seed,
        }
        return Candidates(select(part, places), pipeline.encode, draws), made_of

    def _answers(self, queries: Queries) -> tuple[Candidates, dict[str, Any], Tensor]:
        """The candidates, what determines them, and every network's confidences ``(K, N, C)``."""
        candidates, made_of = self._candidates(queries)
        ask = partial(reference_scores, self.case.pipeline)
        return (
            candidates,
            made_of,
            torch.stack([ask(n, candidates, made_of) for n in self.networks]),
        )

    def _scores(self, name: str, attack: UserInference) -> tuple[Tensor, dict[str, Any]]:
        """Of each user by each network ``(K, U)``, and what it cost."""
        candidates, made_of, answers = self._answers(attack.queries)
        found = [
            self._score(name, attack, i, candidates, made_of, answers)
            for i in range(len(self.networks))
        ]
        scores = torch.stack([values for values, _ in found])
        if not scores.isfinite().all():
            raise InputError(f"{name}: the scores contain NaN or infinity.")
        each = {key: sum(facts[key] for _, facts in found) for key in ("queries", "seconds")}
        return scores, each | {"samples": len(candidates.labels), "asked": attack.queries}

    def _score(
        self,
        name: str,
        attack: UserInference,
        place: int,
        candidates: Candidates,
        made_of: dict[str, Any],
        answers: Tensor,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Of each user by one network ``(U,)``.

        Neither it nor the network on the other half is among its references: so every user has as
        many references with as without, and who is missing tells nothing.
        """
        others = [i for i in range(len(self.networks)) if i // 2 != place // 2]
        users = cast("Tensor", candidates.samples.users)
        view = self.case.pipeline.view
        references = References(
            answers[others],
            self.member[others][:, users],
            torch.zeros(len(users), dtype=torch.bool),
            [partial(view, self.networks[i].trained, RANKS[-1]) for i in others],
        )
        network = self.networks[place].trained
        keys = {"networks": [self.networks[i].trained.key for i in others]}
        keys["learned"] = self.member[others].tolist()
        artefact, _ = self.case.pipeline.ask(
            f"{name} {network.name}",
            attack,
            network,
            lambda: (candidates, references),
            made_of | keys,
        )
        return artefact.tensors["answer"].double().cpu(), artefact.facts

    def _recognised(self) -> dict[str, float]:
        """The accuracy on samples that no network learned from, of its users and of others."""
        candidates, _, answers = self._answers("other")
        right = (answers.argmax(-1) == candidates.labels).double()
        inside = self.member[:, cast("Tensor", candidates.samples.users)]
        return {"members": float(right[inside].mean()), "others": float(right[~inside].mean())}
