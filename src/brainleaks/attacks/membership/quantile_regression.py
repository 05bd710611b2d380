"""Membership by quantiles that are regressed on the sample itself."""

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

from brainleaks.attacks.membership.knowledge import (
    Candidates,
    References,
    confidences,
    logit,
)
from brainleaks.data.parts import images
from brainleaks.monitor import Monitor
from brainleaks.target import Access, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class QuantileRegression:
    """Score a sample by its quantile among samples like it that are known to be no members.

    The target's logit of a sample is compared with a normal distribution whose mean and variance
    are regressed on the sample, by ridge regression on the population: an easy sample has a high
    logit whether or not it is a member. No reference network is needed. The paper trains a network
    for the regression; ours is linear in the leading principal components and the class, because
    the populations here are small.

    Reference: Bertran, Tang, Roth, Kearns, Morgenstern and Wu, "Scalable membership inference
    attacks via quantile regression", NeurIPS 2023, section 3, with the Gaussian quantiles of
    section 4.1.

    Args:
        components: leading principal components of the population's images.
        ridge: penalty on the squared coefficients of standardised features.
    """

    access: ClassVar[Access] = "scores"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "membership"
    version: ClassVar[int] = 1
    shadows: ClassVar[bool] = False

    attack: Literal["quantile-regression"] = "quantile-regression"
    components: int = 16
    ridge: float = 10.0

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
        """
        from sklearn.linear_model import Ridge  # slow to import

        target.require(self.access, self.attack, spiking=self.spiking)
        answers = confidences(target, candidates, generator)
        score = logit(answers, candidates.labels).numpy()
        known = references.population.numpy()
        features = self._features(candidates, known, target.classes)
        mean = Ridge(self.ridge).fit(features[known], score[known]).predict(features)
        squared = np.log((score - mean) ** 2 + np.finfo(np.float64).eps)
        spread = Ridge(self.ridge).fit(features[known], squared[known]).predict(features)
        return torch.from_numpy((score - mean) / np.exp(spread / 2))

    def _features(
        self, candidates: Candidates, known: NDArray[np.bool_], classes: int
    ) -> NDArray[np.float64]:
        """Principal components of the samples, as the population has them, and their class."""
        from sklearn.decomposition import PCA

        rows = images(candidates.samples).flatten(1).double().numpy()
        count = min(self.components, int(known.sum()) - 1, rows.shape[1])
        model = PCA(count, whiten=True, svd_solver="full").fit(rows[known])
        named = functional.one_hot(candidates.labels, classes).double().numpy()
        return np.concatenate([model.transform(rows), named], axis=1)
