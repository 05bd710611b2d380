"""How well scores distinguish members from non-members."""

from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from brainleaks.evaluation.levels import MEMBERSHIP, Claim, no_claim
from brainleaks.evaluation.statistics import CONFIDENCE

#: False-positive rates at which true-positive rates are stated.
RATES = (0.01, 0.001)
_POINTS = 120


class Rate(TypedDict):
    """A share with its Clopper-Pearson interval (Clopper and Pearson 1934)."""

    value: float
    low: float
    high: float


def share(count: int, total: int, confidence: float = CONFIDENCE) -> Rate:
    """``count`` of ``total`` as a share, with its exact interval."""
    found = stats.binomtest(count, total).proportion_ci(confidence, method="exact")
    return Rate(value=count / total, low=float(found.low), high=float(found.high))


def auc(members: ArrayLike, others: ArrayLike, confidence: float = CONFIDENCE) -> Rate:
    """The area under the ROC curve, ties counting half, with DeLong's interval.

    Args:
        members: scores ``(M,)``.
        others: scores of non-members ``(N,)``.
        confidence: of the interval.

    Reference: DeLong, DeLong and Clarke-Pearson 1988, by the ranks of Sun and Xu 2014, "Fast
    implementation of DeLong's algorithm", equations 4 to 7.
    """
    first, second = np.asarray(members, np.float64), np.asarray(others, np.float64)
    m, n = len(first), len(second)
    ranks = stats.rankdata(np.concatenate([first, second]))
    above = (ranks[:m] - stats.rankdata(first)) / n
    below = 1 - (ranks[m:] - stats.rankdata(second)) / m
    value = float(above.mean())
    variance = sum(float(v.var(ddof=1)) / len(v) if len(v) > 1 else 0.25 for v in (above, below))
    margin = float(stats.norm.ppf((1 + confidence) / 2)) * variance**0.5
    return Rate(value=value, low=max(0.0, value - margin), high=min(1.0, value + margin))


def tpr_at(members: ArrayLike, others: ArrayLike, fpr: float) -> tuple[int, int]:
    """Members above the lowest threshold with at most ``fpr`` false positives, and those.

    Samples at the threshold count as non-members, so a constant score has none of either.

    Returns:
        ``(true positives, false positives)``, counted.
    """
    first, second = np.asarray(members, np.float64), np.sort(np.asarray(others, np.float64))[::-1]
    allowed = int(np.floor(fpr * len(second) + 1e-9))
    if allowed >= len(second):
        return len(first), len(second)
    threshold = second[allowed]
    return int((first > threshold).sum()), int((second > threshold).sum())


def tail(members: ArrayLike, others: ArrayLike, fnr: float = RATES[0]) -> Rate:
    """The share of non-members whose scores are below all but ``fnr`` of the members'.

    Of the scores of the loss attack, it estimates the true-positive rate that an attack with many
    reference networks has at a false-positive rate of ``fnr``: samples at risk have left the tail
    of high losses.

    Reference: Dodd, Krčo, Shilov and de Montjoye, "The tail tells all: estimating model-level
    membership inference vulnerability without reference models", arXiv 2510.19773 (2025): the
    true-negative rate of the loss attack at a low false-negative rate.
    """
    below, _ = tpr_at(-np.asarray(others, np.float64), -np.asarray(members, np.float64), fnr)
    return share(below, len(np.asarray(others)))


def roc(members: ArrayLike, others: ArrayLike) -> list[tuple[float, float]]:
    """Points ``(FPR, TPR)`` of the ROC curve, at rates that are spaced on a logarithmic scale."""
    count = len(np.asarray(others))
    rates = np.unique(np.geomspace(1 / count, 1, _POINTS))
    found = [(float(r), tpr_at(members, others, r)[0] / len(np.asarray(members))) for r in rates]
    return [point for i, point in enumerate(found) if i == 0 or point[1] != found[i - 1][1]]


def balanced_accuracy(members: ArrayLike, others: ArrayLike) -> float:
    """The mean of true-positive and true-negative rate at the best threshold of these scores."""
    first, second = np.asarray(members, np.float64), np.asarray(others, np.float64)
    thresholds = np.unique(np.concatenate([first, second]))
    above = 1 - np.searchsorted(np.sort(first), thresholds) / len(first)
    below = np.searchsorted(np.sort(second), thresholds) / len(second)
    return float(((above + below) / 2).max())


def measured(
    scores: NDArray[np.float64], member: NDArray[np.bool_], attacks: int
) -> dict[str, Any]:
    """What an attack's scores show.

    ``leak`` compares the true-positive rate at 1 % false positives, or at the finest rate that the
    samples allow, with the false-positive rate. Both have intervals which together hold at
    ``CONFIDENCE`` for all of ``attacks`` attacks (Bonferroni), so that chance alone shows a leak in
    at most 5 % of audits. The true false-positive rate of a threshold that is an order statistic
    has a beta distribution, whose quantile is the Clopper-Pearson bound.
    """
    first, second = scores[member], scores[~member]
    finest = 1 / len(second)
    rates = {
        f"{rate:g}": share(tpr_at(first, second, rate)[0], len(first))
        for rate in RATES
        if rate >= finest
    }
    fpr = max(RATES[0], finest)
    hits, alarms = tpr_at(first, second, fpr)
    strict = 1 - (1 - CONFIDENCE) / attacks
    true, false = share(hits, len(first), strict), share(alarms, len(second), strict)
    return {
        "auc": dict(auc(first, second)),
        "tpr_at_fpr": {rate: dict(found) for rate, found in rates.items()},
        "finest_fpr": finest,
        "balanced_accuracy": balanced_accuracy(first, second),
        "leak": {"fpr": fpr, "tpr": dict(true), "false": dict(false)},
        "roc": [list(point) for point in roc(first, second)],
    }


def shift(members: NDArray[np.float32], others: NDArray[np.float32]) -> Rate:
    """How well a classifier distinguishes the two parts by the samples alone, without the model.

    Logistic regression on the leading 32 principal components, five-fold cross-validated. An area
    clearly above 0.5 says that the parts differ by more than membership.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs = np.concatenate([members, others])
    labels = np.repeat([1, 0], [len(members), len(others)])
    components = min(32, inputs.shape[1], int(0.8 * len(inputs)) - 1)
    model = make_pipeline(
        PCA(components, svd_solver="randomized", random_state=0),
        StandardScaler(),
        LogisticRegression(max_iter=1000, class_weight="balanced"),
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    found = cross_val_predict(model, inputs, labels, cv=folds, method="decision_function")
    return auc(found[labels == 1], found[labels == 0])


def claim(found: dict[str, Any], not_trainable: str | None) -> Claim:
    """On level 3: some attack's true-positive rate exceeds its false-positive rate and its control.

    Args:
        found: what was measured of each attack.
        not_trainable: why the control on another target could not be made.
    """
    if not found:
        return _undecided(not_trainable or "Every membership attack failed.")
    decided = {name: entry for name, entry in found.items() if "other-target" in entry["controls"]}
    shown = {name: entry for name, entry in decided.items() if _exceeds(entry)}
    if not shown and len(decided) < len(found):
        return _undecided(not_trainable or "A control failed.")
    among = shown or decided
    name = max(among, key=lambda name: among[name]["leak"]["tpr"]["low"])
    leak = found[name]["leak"]
    rate, fpr = leak["tpr"], leak["fpr"]
    ends = f"{rate['value']:.1%} of training samples ({rate['low']:.1%} to {rate['high']:.1%})"
    most, whose = _to_exceed(found[name])
    reached = f"{name} finds {ends} at {fpr:.1%} false alarms."
    beside = f"The lower bound, {rate['low']:.1%}, does not exceed {most:.1%}, the upper bound of "
    sentence = (
        f"Training samples can be recognised: {name} finds {rate['value']:.1%} of them while it "
        f"takes {fpr:.1%} of other samples for training samples."
        if shown
        else "Nothing shows that the model was trained on these samples: the best of the "
        f"membership attacks ({name}) finds {rate['value']:.1%} of them at {fpr:.1%} false alarms. "
        f"{beside}{whose}."
    )
    return Claim(
        kind="membership",
        level=MEMBERSHIP,
        attack=name,
        shown=bool(shown),
        measure=f"training samples found at {fpr:.1%} false alarms",
        value=rate["value"],
        low=rate["low"],
        high=rate["high"],
        sentence=sentence,
        supports=[reached] if shown else [],
        opposes=[] if shown else [reached],
    )


def _exceeds(entry: dict[str, Any]) -> bool:
    return bool(entry["leak"]["tpr"]["low"] > _to_exceed(entry)[0])


def _to_exceed(entry: dict[str, Any]) -> tuple[float, str]:
    """What the share of members that are found must exceed, and in words."""
    false = entry["leak"]["false"]["high"]
    control = entry["controls"]["other-target"]["leak"]["tpr"]["high"]
    if control > false:
        return control, "what it finds with a target that was not trained on them"
    return false, "the false alarms"


def _undecided(why: str) -> Claim:
    return no_claim("membership", MEMBERSHIP, f"Membership could not be decided. {why}", [why])
