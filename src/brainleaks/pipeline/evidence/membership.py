"""Membership: one score a sample, for members and non-members.

An attack of this kind is called with ``(target, candidates, references)``, of
:mod:`brainleaks.attacks.membership.knowledge`, and returns ``(N,)`` scores, larger for members.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    MembershipAttack,
    References,
    logit,
)
from brainleaks.attacks.membership.loss_threshold import LossThreshold
from brainleaks.data.dataset import Dataset, SpikeTrains
from brainleaks.data.parts import images, select
from brainleaks.defences import acting
from brainleaks.errors import InputError, option
from brainleaks.evaluation.epsilon import epsilon
from brainleaks.evaluation.membership import auc, claim, measured, shift, tail
from brainleaks.pipeline.evidence.kind import Case, Evidence, Kind
from brainleaks.pipeline.keys import digest
from brainleaks.pipeline.pipeline import Trained
from brainleaks.pipeline.shadows import (
    BLOCK,
    Shadow,
    pool,
    reference_scores,
    shadow_share,
    train_references,
)
from brainleaks.randomness import stream
from brainleaks.studies.testing import Membership
from brainleaks.target import RANKS, Access

NAME = "membership"
CONTROLS = ("held-out", "other-target", "shuffled-membership")
#: What reference networks say, and what determines each.
Known = tuple[References, list[dict[str, Any]]]
#: With fewer members or non-members, nothing can be said.
_FEWEST = 10
#: So many members are shown, those that attacks find most easily.
_EXPOSED = 12
#: Reference networks whose accuracy is lower by more than this do not stand for the target.
_LESS_ACCURATE = 0.1
#: With this probability a sample must be in a training set for the bound on epsilon.
_FAIR = 0.5


def gather(case: Case) -> Evidence:
    """Score every candidate by every attack, and compare with the controls."""
    return _Gathering(case).run()


KIND = Kind(name=NAME, controls=CONTROLS, levels=(3,), gather=gather)


class Drawn(NamedTuple):
    """Samples of the pool, train before test: those that are tested, and after them the population.

    ``places`` ``(N,)`` are theirs in the pool, ``population`` ``(N,)`` says which are the
    population's, and ``member`` which of the tested ones are members.
    """

    places: Tensor
    population: Tensor
    member: Tensor


def draw(dataset: Dataset, most: int, seed: int) -> Drawn:
    """Draw at most so many members, as many non-members, and as many others for the population.

    A quarter of a small test part is the population. An attack is told that its samples are no
    members, so they are not tested.
    """
    train, test = len(dataset.train.labels), len(dataset.test.labels)
    members = torch.randperm(train, generator=stream(seed, "candidates", "train"))[:most]
    others = train + torch.randperm(test, generator=stream(seed, "candidates", "test"))
    tested = min(most, test - test // 4)
    parts = (members, others[:tested], others[tested : tested + most])
    places = torch.cat([part.sort().values for part in parts])
    count = len(members) + tested
    return Drawn(places, torch.arange(len(places)) >= count, places[:count] < train)


@dataclass
class _Gathering:
    case: Case

    def run(self) -> Evidence:
        member, attempt = self.drawn.member, self.case.pipeline.failures.attempt
        if (fewest := min(int(member.sum()), int((~member).sum()))) < _FEWEST:
            raise InputError(
                f"membership: there are {fewest} samples to test in one part of the data; at least "
                f"{_FEWEST} members and {_FEWEST} non-members are needed."
            )
        found: dict[str, Any] = {}
        scores: dict[str, Tensor] = {}
        for name, attack in self.attacks.items():
            if attack.shadows and not self._shadows_used:
                continue
            ask = partial(self._score, name, attack, self.case.target)
            if (asked := attempt("attack", name, ask)) is not None:
                scores[name], told = asked
                controls = self._controls(name, attack, scores[name])
                found[name] = self._measured(scores[name]) | told | {"controls": controls}
        facts = {
            "members": int(member.sum()),
            "non_members": int((~member).sum()),
            "population": int(self.drawn.population.sum()),
            "draws": self.candidates.draws,
            "shadows": self.settings.shadows if self._shadows_used else 0,
            "remarks": [said for said in (self.not_trainable, self._unlike) if said],
            "shift": attempt("control", "shift", self._shift),
            "tail": self._tail(scores),
            "epsilon": attempt("control", "epsilon", self._epsilon),
            "attacks": found,
        }
        tensors = {name: values.float() for name, values in scores.items()}
        tensors |= {"member": member, "sample": self.drawn.places[: len(member)]}
        claimed = claim(found, self.not_trainable)
        files = {NAME: tensors}
        if claimed["shown"] and claimed["attack"]:
            facts["exposed"], files["exposed"] = self._exposed(scores[claimed["attack"]])
        return Evidence(facts, [claimed], tensors=files)

    @property
    def attacks(self) -> dict[str, MembershipAttack]:
        return cast("dict[str, MembershipAttack]", self.case.attacks)

    @cached_property
    def settings(self) -> Membership:
        return self.case.pipeline.study.membership or Membership()

    @cached_property
    def drawn(self) -> Drawn:
        pipeline = self.case.pipeline
        return draw(pipeline.dataset, self.settings.samples, pipeline.seed)

    @cached_property
    def candidates(self) -> Candidates:
        pipeline = self.case.pipeline
        samples = select(pool(pipeline.dataset), self.drawn.places)
        encoded = pipeline.study.spiking and not isinstance(samples.inputs, SpikeTrains)
        drawn = encoded or acting(pipeline.study.defences, "neurons")
        return Candidates(samples, pipeline.encode, self.settings.draws if drawn else 1)

    @cached_property
    def _made_of(self) -> dict[str, Any]:
        """What determines the answers besides the network: exactly these samples."""
        pipeline = self.case.pipeline
        drawn = {name: tensor.tolist() for name, tensor in self.drawn._asdict().items()}
        return {
            "data": pipeline.dataset.fingerprint,
            "samples": digest(drawn),
            "draws": self.candidates.draws,
            "seed": pipeline.seed,
        }

    @property
    def _shadows_wanted(self) -> bool:
        return not self.not_trainable and any(a.shadows for a in self.attacks.values())

    @property
    def _shadows_used(self) -> bool:
        return self._shadows_wanted and not self._unlike

    @cached_property
    def not_trainable(self) -> str | None:
        """Why no network like the target can be trained, in a sentence."""
        reason = self.case.targets.missing.get("shuffled-labels")
        if reason is None:
            return None
        said = "Attacks with reference networks, and the control on another target, were left out"
        return f"{said}: {reason}."

    @cached_property
    def _unlike(self) -> str | None:
        """That reference networks recognise less than the target, if they do, in a sentence."""
        if not self._shadows_wanted:
            return None
        attempt = self.case.pipeline.failures.attempt
        found = attempt("control", "reference networks", self._references_recognise)
        own = self.case.target.facts.get("test_accuracy")  # controls are not measured
        if found is None or own is None or found >= own - _LESS_ACCURATE:
            return None
        return (
            f"Attacks with reference networks were left out: those recognise {found:.2f} of the "
            f"samples that they were not trained on, and the target {own:.2f}. Train them as the "
            f"target was trained ({option('recipe')})."
        )

    def _references_recognise(self) -> float:
        """The share of the samples that they were not trained on, over all reference networks."""
        references, _ = self._known
        right = references.scores.argmax(-1) == self.candidates.labels
        return float(right[~references.trained_on].double().mean())

    @cached_property
    def _networks(self) -> tuple[list[Shadow], Shadow]:
        """Reference networks, and the one that the control attacks."""
        count = self.settings.shadows if self._shadows_wanted else 0
        return train_references(self.case.pipeline, self.case.targets, count)

    @cached_property
    def _known(self) -> Known:
        """What reference networks answer, and what determines each."""
        return self._asked("scores")

    @cached_property
    def _known_from_weights(self) -> Known:
        """The same for an attacker who has the target's weights, and so its own answers."""
        return self._asked("gradients")

    def _known_to(self, attack: MembershipAttack) -> Known:
        sees_weights = RANKS.index(attack.access) > RANKS.index("scores")
        return self._known_from_weights if sees_weights else self._known

    def _asked(self, access: Access) -> Known:
        pipeline, places = self.case.pipeline, self.drawn.places
        shadows, _ = self._networks
        asked = self.candidates, self._made_of
        scores = [reference_scores(pipeline, shadow, *asked, access) for shadow in shadows]
        trained_on = torch.stack([shadow.learned[places] for shadow in shadows])
        networks = [partial(pipeline.view, shadow.trained, RANKS[-1]) for shadow in shadows]
        stacked = torch.stack(scores)
        references = References(stacked, trained_on, self.drawn.population, networks)
        return references, [shadow.trained.key for shadow in shadows]

    @cached_property
    def _alone(self) -> Known:
        """As much without reference networks."""
        count, classes = len(self.drawn.places), len(self.case.pipeline.dataset.class_names)
        nothing = torch.zeros(0, count, classes), torch.zeros(0, count, dtype=torch.bool)
        return References(*nothing, self.drawn.population), []

    def _score(
        self, name: str, attack: MembershipAttack, target: Trained
    ) -> tuple[Tensor, dict[str, Any]]:
        """Of the tested samples, and what it cost."""
        references, keys = self._known_to(attack) if attack.shadows else self._alone
        artefact, _ = self.case.pipeline.ask(
            name,
            attack,
            target,
            lambda: (self.candidates, references),
            self._made_of | {"networks": keys},
        )
        answer = artefact.tensors["answer"].double().cpu()[~self.drawn.population]
        if not answer.isfinite().all():
            raise InputError(f"{name}: the scores contain NaN or infinity.")
        return answer, {key: artefact.facts[key] for key in ("queries", "seconds")}

    def _measured(self, scores: Tensor) -> dict[str, Any]:
        return measured(scores.numpy(), self.drawn.member.numpy(), len(self.attacks))

    def _controls(self, name: str, attack: MembershipAttack, scores: Tensor) -> dict[str, Any]:
        """What the area under the curve is where membership cannot be known."""
        member = self.drawn.member
        held_out = scores[~member]
        order = torch.randperm(len(held_out), generator=stream(0, "held-out halves"))
        first, second = held_out[order].tensor_split(2)
        order = torch.randperm(len(scores), generator=stream(0, "shuffled membership"))
        shuffled = scores[order]
        found: dict[str, Any] = {
            "held-out": dict(auc(first, second)),
            "shuffled-membership": dict(auc(shuffled[member], shuffled[~member])),
        }
        if self.not_trainable:
            return found
        asked = f"{name} other-target"
        ask = partial(self._other_target, asked, attack)
        facts = self.case.pipeline.failures.attempt("control", asked, ask)
        if facts is not None:
            found["other-target"] = facts["auc"] | {"leak": facts["leak"]}
        return found

    def _other_target(self, name: str, attack: MembershipAttack) -> dict[str, Any]:
        """The same where the target was trained on a random part of members and others."""
        scores, _ = self._score(name, attack, self._networks[1].trained)
        return self._measured(scores)

    def _exposed(self, scores: Tensor) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        """The members with the highest scores: what they are, and their images."""
        found = scores.masked_fill(~self.drawn.member, -torch.inf).topk(
            min(_EXPOSED, int(self.drawn.member.sum()))
        )
        samples = select(self.candidates.samples, found.indices)
        names = self.case.pipeline.dataset.class_names
        said = [
            {"sample": place, "class": names[label], "score": score}
            for place, label, score in zip(
                self.drawn.places[found.indices].tolist(),
                samples.labels.tolist(),
                found.values.tolist(),
                strict=True,
            )
        ]
        return said, {"images": images(samples)}

    def _epsilon(self) -> dict[str, Any] | None:
        """A lower bound for the recipe, from the first reference network.

        Each sample was in its training set by a fair coin, unless the target was trained on most of
        the data. Networks of its own block know of its coins, so that only others may calibrate.
        """
        if not self._shadows_used:
            return None
        shadows, _ = self._networks
        if shadow_share(self.case.pipeline.dataset) != _FAIR:
            return None
        references, _ = self._known
        logits = logit(references.scores, self.candidates.labels)
        others = logits[BLOCK:].mean(0) if len(shadows) > BLOCK else 0.0
        return dict(epsilon((logits[0] - others).numpy(), references.trained_on[0].numpy()))

    def _tail(self, scores: dict[str, Tensor]) -> dict[str, Any] | None:
        """The estimate from the losses alone, if an attack thresholds them."""
        member = self.drawn.member
        names = [n for n, a in self.attacks.items() if a.attack == LossThreshold.attack]
        losses = [scores[name] for name in names if name in scores]
        return dict(tail(losses[0][member], losses[0][~member])) if losses else None

    def _shift(self) -> dict[str, Any]:
        member = self.drawn.member
        tested = select(self.candidates.samples, ~self.drawn.population)
        values = images(tested).flatten(1).numpy()
        return dict(shift(values[member.numpy()], values[~member.numpy()]))
