"""Membership by one shadow model and a support vector machine for each class."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import Candidates, References, confidences
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target

_TINY = 1e-30


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class ClassSVM:
    """Let a classifier learn from one reference network what answers to members look like.

    For each class, a support vector machine with a Gaussian kernel distinguishes the answers of
    the first reference network to samples of the class that it was trained on from those that it
    was not. The score of a sample is its machine's decision value for the target's answer. An
    answer is the vector of log confidences; the kernel's width is that of scikit-learn's
    ``gamma="scale"``. A class with so few samples that the network was trained on all of them, or
    on none, has the machine of all classes together.

    Args:
        penalty: of each error, ``C``.

    Reference: the attack by which Moshruba, Alouani and Parsa, "Are neuromorphic architectures
    inherently privacy-preserving?", PoPETs 2025 (arXiv 2411.06613), compare spiking and ordinary
    networks. Theirs reads the last membrane vector, which scores do not show.
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True
    by_default: ClassVar[bool] = False

    penalty: Annotated[float, Gt(0)] = 1.0
    attack: Literal["class-svm"] = "class-svm"

    def __call__(
        self,
        target: Target,
        candidates: Candidates,
        references: References,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """A score for each sample, ``(N,)``: the larger, the more likely it is a member.

        Raises:
            AccessError: if the target grants too little.
            InputError: if reference networks are missing, or the first of them was trained on all
                samples, or on none.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        references.require(self.attack, inside=True)
        own = _log(confidences(target, candidates, generator))
        others, learned = _log(references.scores[0]), references.trained_on[0]
        scores = torch.zeros(len(own), dtype=torch.float64)
        for label in candidates.labels.unique():
            which = candidates.labels == label
            seen = which if _both(learned[which]) else torch.ones_like(which)
            scores[which] = self._decide(others[seen], learned[seen], own[which])
        return scores

    def _decide(self, known: Tensor, learned: Tensor, asked: Tensor) -> Tensor:
        """Decision values ``(M,)`` for answers ``(M, C)``, of a machine that learns from others."""
        from sklearn.svm import SVC  # slow to import

        if not _both(learned):
            raise InputError(
                f"{self.attack}: the reference network was trained on all of the tested samples, "
                "or on none of them; raise membership.samples."
            )
        machine = SVC(C=self.penalty, kernel="rbf", gamma="scale")
        machine.fit(known.numpy(), learned.numpy())
        return torch.from_numpy(machine.decision_function(asked.numpy()))


def _both(learned: Tensor) -> bool:
    return bool(learned.any()) and not learned.all()


def _log(scores: Tensor) -> Tensor:
    return scores.double().clamp_min(_TINY).log()
