"""Recovered batches in a table of several seeds: one row a preset and attack."""

from collections.abc import Callable
from typing import Any

KIND = "recovered-batch"
#: What the attacker sees in tables that were written before there was anything else.
_SEEN = "the gradient of one training step"
_MEASURES = ("vectors", "bits", "label", "ssim", "reidentified")


def file(attack: str) -> str:
    """Where a run folder keeps the pictures of a batch that an attack recovered."""
    return f"recovered-{attack}.safetensors"


def over_seeds(
    each: list[dict[str, Any]], interval: Callable[[list[float]], Any]
) -> dict[str, Any] | None:
    """What the runs of one study recovered of training steps, means over seeds.

    ``None`` if a run attacked none.
    """
    found = [results.get("evidence", {}).get(KIND) for results in each]
    if not all(found):
        return None
    evidence: list[dict[str, Any]] = [one for one in found if one]
    first = evidence[0]
    names = [n for n in first["attacks"] if all(n in one["attacks"] for one in evidence)]
    return {
        "seen": first.get("seen", _SEEN),
        **{key: first[key] for key in ("batch_size", "batches", "time_steps", "neurons")},
        "limit": _means([one["limit"] for one in evidence], interval),
        "attacks": {
            name: _attack([one["attacks"][name] for one in evidence], interval) for name in names
        },
    }


def _means(
    measures: list[dict[str, Any]], interval: Callable[[list[float]], Any]
) -> dict[str, Any]:
    values = {key: [one[key]["value"] for one in measures] for key in _MEASURES}
    return {key: None if None in found else interval(found) for key, found in values.items()}


def _attack(
    entries: list[dict[str, Any]], interval: Callable[[list[float]], Any]
) -> dict[str, Any]:
    hidden = [entry["hidden"]["value"] for entry in entries if entry.get("hidden")]
    seconds = [second for entry in entries for second in entry["seconds"]]
    other = [entry["controls"]["other-batch"] for entry in entries]
    return {
        "measures": _means([entry["measures"] for entry in entries], interval),
        "hidden": interval(hidden) if len(hidden) == len(entries) else None,
        "least": min(entry["measures"]["reidentified"]["low"] for entry in entries),
        "other_batch": _means(other, interval)["reidentified"],
        "invented": sum(entry["controls"]["shuffled-gradient"]["vectors"] for entry in entries),
        "whole_batches": sum(entry["whole_batches"] for entry in entries),
        "seconds": sum(seconds) / len(seconds),
    }
