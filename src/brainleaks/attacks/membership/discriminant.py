"""Membership by answers and weights together."""

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
    confidences,
    logit,
    mean_where,
)
from brainleaks.attacks.membership.weights import Explanation, change, leverage
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Discriminant:
    """Compare what the answers and the weights show of a sample with reference networks.

    Three values are computed of each sample and network: the logit of its class, how well the
    change of the first layer's weights spans its input, and how much of that change it explains.
    Each is centred, sample by sample, between the means of the networks that were trained on the
    sample and of those that were not. Fisher's linear discriminant, fitted to the reference
    networks, weighs the three.

    Args:
        span_ridge: share of the mean energy that is added to every direction of the span.
        credit_ridge: as ``ridge`` of :class:`~.weight_credit.WeightCredit`.

    The attack is ours; the discriminant is that of Fisher 1936, "The use of multiple measurements
    in taxonomic problems".
    """

    access: ClassVar[Access] = "initial-weights"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = True

    span_ridge: Annotated[float, Gt(0)] = 1e-3
    credit_ridge: Annotated[float, Gt(0)] = 1e-2
    attack: Literal["discriminant"] = "discriminant"

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
            InputError: if its first layer is not fully connected to the inputs, or did not change,
                or if reference networks are missing.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        references.require(self.attack, inside=True)
        labels, explanation = candidates.labels, Explanation.by(candidates, self.credit_ridge)

        def shown(network: Target, scores: Tensor) -> Tensor:
            span = leverage(change(network, self.attack), explanation.inputs, self.span_ridge)
            credit = explanation.credit(network, candidates, self.attack, generator)
            return torch.stack([logit(scores, labels), span, credit], -1)

        own = shown(target, confidences(target, candidates, generator))
        pairs = zip(references.networks, references.scores, strict=True)
        others = torch.stack([shown(network(), scores) for network, scores in pairs])
        return discriminant(own, others, references.trained_on)


def discriminant(own: Tensor, others: Tensor, trained_on: Tensor) -> Tensor:
    """Fisher's linear discriminant between members and non-members, ``(N,)``.

    Args:
        own: ``(N, F)`` values of the target.
        others: ``(K, N, F)`` values of reference networks.
        trained_on: ``(K, N)``, whether a network was trained on a sample.
    """
    on = trained_on.unsqueeze(-1)
    inside, outside = mean_where(others, on), mean_where(others, ~on)
    middle = (inside + outside) / 2
    within = (others - torch.where(on, inside, outside)).flatten(0, 1)
    scale = within.std(0).clamp_min(1e-30)
    covariance = (within / scale).T.cov()
    apart = (inside - outside).mean(0) / scale
    weights = torch.linalg.solve(covariance + 1e-6 * torch.eye(len(scale)).double(), apart)
    found: Tensor = ((own - middle) / scale) @ weights
    return found
