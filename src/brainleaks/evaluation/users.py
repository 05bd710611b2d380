"""How well scores distinguish the users that networks learned from, from the others.

Networks come in pairs that learned from the two sides of a division of the users. Users are ranked
among those of one network, as an attacker with one network would, and the results are averaged over
networks. Users differ, and there are few of them: the interval is over users. Whether it is chance
that separates them is tested over the pairs of networks, whose sides were dealt at random.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from brainleaks.evaluation.levels import MEMBERSHIP, Claim, no_claim
from brainleaks.evaluation.membership import Rate
from brainleaks.evaluation.statistics import CONFIDENCE

_RESAMPLES = 9999


def rightly_ranked(scores: ArrayLike, member: ArrayLike) -> NDArray[np.float64]:
    """The share of a network's users of the other kind that each user is on the right side of.

    That of members counts the non-members with a lower score, that of non-members the members with
    a higher one; ties count half. The mean over a network's members, or its non-members, is the
    area under its ROC curve.

    Args:
        scores: of each network and user, ``(K, U)``.
        member: ``(K, U)``, whether a network learned from a user.

    Returns:
        ``(K, U)``.
    """
    values, inside = np.asarray(scores, np.float64), np.asarray(member, bool)
    sign = np.sign(values[:, :, None] - values[:, None, :])
    right = 0.5 + sign * np.where(inside, 0.5, -0.5)[:, :, None]
    other = inside[:, :, None] != inside[:, None, :]
    found: NDArray[np.float64] = (right * other).sum(2) / other.sum(2)
    return found


def area(scores: ArrayLike, member: ArrayLike) -> float:
    """The mean over networks of the area under the ROC curve of their users ``(K, U)``."""
    inside = np.asarray(member, bool)
    return float(((rightly_ranked(scores, inside) * inside).sum(1) / inside.sum(1)).mean())


def over_users(scores: ArrayLike, member: ArrayLike, confidence: float = CONFIDENCE) -> Rate:
    """The mean area with its interval over users ``(K, U)``: what it is for users like these.

    The interval is Student's t of jackknife pseudo-values, one for each of ``U`` users, with
    ``U - 1`` degrees of freedom: each user is left out of all networks in turn. Every comparison
    has two users, so that the spread of the users' own shares would claim too much. A few users who
    are all recognised do not differ, and t then claims certainty; each end is therefore the farther
    one of this interval and of that with one more pseudo-value, of chance.

    Reference: Arvesen 1969, "Jackknifing U-statistics".
    """
    values, inside = np.asarray(scores, np.float64), np.asarray(member, bool)
    users, mean = values.shape[1], area(values, inside)
    rest = [[u for u in range(users) if u != left_out] for left_out in range(users)]
    without = [area(values[:, kept], inside[:, kept]) for kept in rest]
    pseudo = users * mean - (users - 1) * np.asarray(without)
    ends = [mean]
    for each in (pseudo, np.append(pseudo, 0.5)):
        margin = stats.t.isf((1 - confidence) / 2, len(each) - 1) * stats.sem(each)
        ends += [float(each.mean() - margin), float(each.mean() + margin)]
    return Rate(value=mean, low=max(0.0, min(ends)), high=min(1.0, max(ends)))


def chance(areas: ArrayLike) -> tuple[float, float, float]:
    """How likely chance alone gives areas as large, and what areas it gives.

    Without a leak it does not matter which network of a pair learned from which side of the
    division, so that the pair's area is as likely to lie above one half as below it by as much.
    Every exchange of sides is counted, or 9,999 at random of more than 13 pairs.

    Args:
        areas: of each network, ``(K,)``; networks ``2 i`` and ``2 i + 1`` are a pair.

    Returns:
        The one-sided p-value, at least ``2 ** -(K / 2)``, and the 2.5 % and 97.5 % points of the
        mean area under exchanges.
    """
    pairs = np.asarray(areas, np.float64).reshape(-1, 2).mean(1) - 0.5
    found = stats.permutation_test(
        (pairs,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    low, high = np.quantile(found.null_distribution, [0.025, 0.975]) + 0.5
    return float(found.pvalue), float(low), float(high)


def measured(scores: ArrayLike, member: ArrayLike) -> dict[str, Any]:
    """What an attack's scores show of the users ``(K, U)`` of ``K`` networks.

    Returns:
        ``auc``: the mean area under the ROC curves with its interval over users; ``p`` and
        ``shuffled``, of :func:`chance`; ``by_user``: each user's share; and ``separated``: the
        networks whose members all rank above all others.
    """
    shares = rightly_ranked(scores, member)
    inside = np.asarray(member, bool)
    areas = (shares * inside).sum(1) / inside.sum(1)
    p, low, high = chance(areas)
    return {
        "auc": dict(over_users(scores, member)),
        "p": p,
        "shuffled": {"value": 0.5, "low": low, "high": high},
        "by_user": shares.mean(0).tolist(),
        "separated": int((areas == 1).sum()),
    }


def claim(found: dict[str, Any], networks: int) -> Claim:
    """On level 3: members score higher than others by more than chance explains.

    The p-value over pairs of networks, times the number of attacks (Bonferroni), lies below 5 %.
    That is about these users; the interval says how far it may differ for others like them.

    Args:
        found: what was measured of each attack.
        networks: how many there were.
    """
    if not found:
        return undecided("Every attack on users failed.")
    shown = {n: e for n, e in found.items() if e["p"] * len(found) < 1 - CONFIDENCE}
    among = shown or found
    name = max(among, key=lambda name: (among[name]["auc"]["value"], -among[name]["p"]))
    best = found[name]["auc"]
    start = (
        "It can be recognised whose data networks of this recipe learned from"
        if shown
        else "Nothing shows whose data networks of this recipe learned from"
    )
    reached = (
        f"{name} ranks users of the training set above others in {best['value']:.1%} of pairs "
        f"({best['low']:.1%} to {best['high']:.1%} over users; p = {found[name]['p']:.2g} over "
        f"{networks} networks)."
    )
    return Claim(
        kind="user-membership",
        level=MEMBERSHIP,
        attack=name,
        shown=bool(shown),
        measure="pairs in which the user of the training set ranks first",
        value=best["value"],
        low=best["low"],
        high=best["high"],
        sentence=f"{start}: {reached[:-1]}; chance gives 50.0%.",
        supports=[reached] if shown else [],
        opposes=[] if shown else [reached],
    )


def undecided(why: str) -> Claim:
    """That user-level membership could not be decided, and why."""
    said = f"User-level membership could not be decided. {why}"
    return no_claim("user-membership", MEMBERSHIP, said, [why])
