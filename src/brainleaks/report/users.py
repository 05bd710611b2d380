"""User-level membership in a table of several seeds: one row a seed and attack."""

from typing import Any

KIND = "user-membership"


def over_seeds(each: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """What each run of one study found about users, beside its ``seed``.

    Seeds are not averaged: the users are the same ones, and intervals over users say more than
    intervals over seeds would. ``None`` if a run did not test user-level membership.
    """
    found = [results.get("evidence", {}).get(KIND) for results in each]
    if not all(found):
        return None
    return [
        {"seed": results["seed"]} | one
        for results, one in zip(each, found, strict=True)
        if one is not None
    ]
