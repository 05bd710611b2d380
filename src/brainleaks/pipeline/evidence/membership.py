"""Membership: one score a sample, for members and non-members.

An attack of this kind is called with ``(target, candidates, references)``, of
:mod:`brainleaks.attacks.membership.knowledge`, and returns ``(N,)`` scores, larger for members.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from brainleaks.attacks import Attack
from brainleaks.attacks.membership.knowledge import Candidates, References
from brainleaks.data.dataset import SpikeTrains
from brainleaks.data.parts import images, select
from brainleaks.evaluation.membership import auc, measured, shift
from brainleaks.evaluation.verdict import Claim
from brainleaks.pipeline.evidence.kind import Case, Evidence, Kind
from brainleaks.pipeline.pipeline import Trained
from brainleaks.pipeline.shadows import Shadow, pool, reference_scores, train_other, train_shadows
from brainleaks.randomness import stream
from brainleaks.studies.config import Membership

NAME = "membership"
CONTROLS = ("held-out", "other-target", "shuffled-membership")


def gather(case: Case) -> Evidence:
    """Score every candidate by every attack, and compare with the controls."""
    return _Gathering(case).run()


KIND = Kind(name=NAME, controls=CONTROLS, levels=(3,), gather=gather)


@dataclass
class _Gathering:
    case: Case

    def run(self) -> Evidence:
        attempt, found, scores = self.case.pipeline.failures.attempt, {}, {}
        for name, attack in self.case.attacks.items():
            if attack.shadows and self._not_trainable:  # type: ignore[attr-defined]
                continue
            asked = attempt("attack", name, partial(self._score, name, attack, self.case.target))
            if asked is None:
                continue
            scores[name], queries, seconds = asked
            found[name] = self._measured(scores[name]) | {"queries": queries, "seconds": seconds}
            other = partial(self._other_target, name, attack)
            answered = (
                None if self._not_trainable else attempt("control", f"{name} other-target", other)
            )
            found[name]["controls"] = self._controls(scores[name], answered)
        facts = {
            "members": int(self.member.sum()),
            "non_members": int((~self.member).sum()),
            "draws": self.candidates.draws,
            "shadows": len(self._references_of) if self._needs_shadows else 0,
            "remarks": [self._not_trainable] if self._not_trainable else [],
            "shift": dict(self._shift),
            "attacks": found,
        }
        tensors = {name: values.float() for name, values in scores.items()}
        tensors |= {"member": self.member, "sample": self.chosen}
        return Evidence(facts, [self._claim(found)], {NAME: tensors})

    @cached_property
    def settings(self) -> Membership:
        return self.case.pipeline.study.membership or Membership()

    @cached_property
    def chosen(self) -> Tensor:
        """The candidates' places in the pool: as many members as non-members, or all."""
        dataset, most = self.case.pipeline.dataset, self.settings.samples
        parts, start = [], 0
        for part, samples in (("train", dataset.train), ("test", dataset.test)):
            count = len(samples.labels)
            generator = stream(self.case.pipeline.seed, "candidates", part)
            parts.append(start + torch.randperm(count, generator=generator)[:most].sort().values)
            start = count
        return torch.cat(parts)

    @cached_property
    def member(self) -> Tensor:
        """Whether each candidate is one, ``(N,)``."""
        return self.chosen < len(self.case.pipeline.dataset.train.labels)

    @cached_property
    def candidates(self) -> Candidates:
        pipeline = self.case.pipeline
        samples = select(pool(pipeline.dataset), self.chosen)
        drawn = pipeline.study.spiking and not isinstance(samples.inputs, SpikeTrains)
        return Candidates(samples, pipeline.encode, self.settings.draws if drawn else 1)

    @property
    def _made_of(self) -> dict[str, Any]:
        pipeline = self.case.pipeline
        return {
            "data": pipeline.dataset.fingerprint,
            "samples": self.settings.samples,
            "draws": self.candidates.draws,
            "seed": pipeline.seed,
        }

    @property
    def _needs_shadows(self) -> bool:
        wanted = any(a.shadows for a in self.case.attacks.values())  # type: ignore[attr-defined]
        return wanted and not self._not_trainable

    @cached_property
    def _not_trainable(self) -> str | None:
        """Why no network like the target can be trained, in a sentence."""
        reason = self.case.targets.missing.get("shuffled-labels")
        if reason is None:
            return None
        said = "Attacks with reference networks, and the control on another target, were left out"
        return f"{said}: {reason}."

    @cached_property
    def _other(self) -> Shadow:
        """The network that the control attacks."""
        return train_other(self.case.pipeline, self.case.targets)

    @cached_property
    def _references_of(self) -> list[tuple[Shadow, Tensor]]:
        ask = partial(
            reference_scores, self.case.pipeline, candidates=self.candidates, made_of=self._made_of
        )
        shadows = train_shadows(self.case.pipeline, self.case.targets, self.settings.shadows)
        return [(shadow, ask(shadow)) for shadow in shadows]

    def _references(self, population: Tensor, *, shadows: bool) -> References:
        found = self._references_of if shadows else []
        classes = len(self.case.pipeline.dataset.class_names)
        count = len(self.chosen)
        return References(
            torch.stack([s for _, s in found]) if found else torch.zeros(0, count, classes),
            torch.stack([s.learned[self.chosen] for s, _ in found])
            if found
            else torch.zeros(0, count, dtype=torch.bool),
            population,
        )

    def _score(
        self, name: str, attack: Attack, target: Trained, population: Tensor | None = None
    ) -> tuple[Tensor, int, float]:
        shadows = bool(attack.shadows)  # type: ignore[attr-defined]
        population = ~self.member if population is None else population
        references = self._references(population, shadows=shadows)
        made_of = self._made_of | {
            "references": [s.trained.key for s, _ in self._references_of] if shadows else []
        }
        asked = self.candidates, references
        artefact, _ = self.case.pipeline.ask(name, attack, target, asked, made_of)
        answer = artefact.tensors["answer"].double().cpu()
        if not answer.isfinite().all():
            raise ValueError(f"{name}: the scores contain NaN or infinity.")
        facts = artefact.facts
        return answer, facts["queries"], facts["seconds"]

    def _measured(self, scores: Tensor) -> dict[str, Any]:
        return measured(scores.numpy(), self.member.numpy(), len(self.case.attacks))

    def _other_target(self, name: str, attack: Attack) -> Tensor:
        """The same attack's scores where the target was trained on another random part."""
        scores, _, _ = self._score(f"{name} other-target", attack, self._other.trained)
        return scores

    def _controls(self, scores: Tensor, other: Tensor | None) -> dict[str, Any]:
        """What the area under the curve is where membership cannot be known."""
        held_out = scores[~self.member]
        halves = torch.randperm(len(held_out), generator=stream(0, "held-out halves"))
        first, second = held_out[halves].tensor_split(2)
        order = torch.randperm(len(scores), generator=stream(0, "shuffled membership"))
        shuffled = scores[order]
        found: dict[str, Any] = {
            "held-out": dict(auc(first, second)),
            "shuffled-membership": dict(auc(shuffled[self.member], shuffled[~self.member])),
        }
        if other is not None:
            facts = self._measured(other)
            found["other-target"] = facts["auc"] | {"leak": facts["leak"]}
        return found

    @cached_property
    def _shift(self) -> Any:
        values = images(self.candidates.samples).flatten(1).double().numpy()
        member = self.member.numpy()
        return shift(values[member], values[~member])

    def _claim(self, found: dict[str, Any]) -> Claim:
        """Of the attack whose true-positive rate has the highest lower end."""
        if not found:
            return _claimed(None, None, None, "No membership attack could be run.")
        name = max(found, key=lambda n: found[n]["leak"]["tpr"]["low"])
        leak, control = found[name]["leak"], found[name]["controls"].get("other-target")
        if control is None:
            why = self._not_trainable or "Its control failed."
            return _claimed(name, None, leak, f"Membership could not be decided. {why}")
        beyond = max(leak["false"]["high"], control["leak"]["tpr"]["high"])
        shown = leak["tpr"]["low"] > beyond
        rate, fpr = leak["tpr"]["value"], leak["fpr"]
        if shown:
            sentence = (
                f"Training samples can be recognised: {name} finds {rate:.1%} of them while it "
                f"takes {fpr:.1%} of other samples for training samples."
            )
        else:
            sentence = (
                f"Nothing shows that the model was trained on these samples: the best of the "
                f"membership attacks ({name}) finds {rate:.1%} of them at {fpr:.1%} false alarms."
            )
        return _claimed(name, shown, leak, sentence)


def _claimed(
    attack: str | None, shown: bool | None, leak: dict[str, Any] | None, sentence: str
) -> Claim:
    rate = leak["tpr"] if leak else dict.fromkeys(("value", "low", "high"))
    return Claim(
        kind=NAME,
        level=3,
        attack=attack,
        shown=shown,
        value=rate["value"],
        low=rate["low"],
        high=rate["high"],
        sentence=sentence,
    )
