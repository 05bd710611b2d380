"""User-level membership: were samples of this person in the training set?"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.attacks.membership.attack_r import AttackR
from brainleaks.attacks.membership.calibrated_loss import CalibratedLoss
from brainleaks.attacks.membership.knowledge import Candidates, References
from brainleaks.attacks.membership.lira import Lira
from brainleaks.attacks.membership.loss_threshold import LossThreshold
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target

#: Membership attacks that are not told of any sample that it is no member.
ByOutputs = Annotated[
    AttackR | CalibratedLoss | Lira | LossThreshold, Field(discriminator="attack")
]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class UserInference:
    """Score a user by the mean score of some of their samples by a membership attack.

    A reference network counts as trained on a sample if it was trained on any of its user's: the
    queried samples need not be in any training set. By the calibrated loss, the score is the mean
    logarithm of how much likelier the label is by the target than by networks that were trained
    without the user.

    Args:
        by: the membership attack, with its settings.
        queries: ``"other"`` queries samples of each user that no network was trained on,
            ``"trained"`` samples that the networks trained on the user have learned from. LiRA
            online learns from networks that were trained on the target's own samples of the user,
            and recognises those whatever is queried; of ``"other"`` samples only LiRA offline is
            accepted.

    Reference: Kandpal, Pillutla, Oprea, Kairouz, Choquette-Choo and Xu, "User inference attacks on
    large language models", arXiv 2310.09266 (2023), whose statistic this is by the calibrated loss.
    The question is that of Song and Shmatikov, "Auditing data provenance in text-generation
    models", KDD 2019, and, of speech, of Miao et al., "The audio auditor", arXiv 1905.07082.

    Example:
        >>> from brainleaks.data import Samples
        >>> from brainleaks.data.encoding import as_images
        >>> from brainleaks.networks import MLP
        >>> network = MLP((1, 8, 8), 10, hidden=50)
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10, access="scores")
        >>> samples = Samples(torch.rand(6, 1, 8, 8), torch.arange(6), torch.arange(6) % 3)
        >>> nothing = References(torch.zeros(0, 6, 10), torch.zeros(0, 6) > 0, torch.zeros(6) > 0)
        >>> attack = UserInference(LossThreshold())
        >>> tuple(attack(target, Candidates(samples, as_images), nothing).shape)
        (3,)
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "user-membership"
    version: ClassVar[int] = 1

    by: ByOutputs = CalibratedLoss()
    queries: Literal["other", "trained"] = "other"
    attack: Literal["user-inference"] = "user-inference"

    def __post_init__(self) -> None:
        if self.queries == "other" and isinstance(self.by, Lira) and self.by.online:
            raise ValueError(
                "by: LiRA online has reference networks that were trained on the samples in "
                "question; set online to false, or queries to trained."
            )

    def __call__(
        self,
        target: Target,
        candidates: Candidates,
        references: References,
        *,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """A score for each user, ``(U,)``: the larger, the more likely they are a member.

        Raises:
            AccessError: if the target grants too little.
            InputError: if the samples name no users, a user has none, or reference networks are
                missing.
        """
        users = candidates.samples.users
        if users is None:
            raise InputError(f"{self.attack}: the samples do not name their users.")
        counts = users.bincount()
        if not counts.all():
            missing = int((counts == 0).nonzero()[0])
            raise InputError(f"{self.attack}: user {missing} has no samples to query.")
        scores = self.by(target, candidates, references, generator=generator, monitor=monitor)
        return scores.new_zeros(len(counts)).index_add(0, users, scores) / counts
