"""The defences of a run, in words, and what they cost."""

from collections.abc import Mapping, Sequence
from typing import Any

_UTILITY = {"test_accuracy": "test accuracy", "spikes": "spikes a test sample"}


def listed(settings: Mapping[str, Any]) -> str:
    """Settings or findings as text, such as ``bits 4, per channel``; those that are null left out.

    Args:
        settings: by name; underscores are shown as spaces.
    """
    shown = {name.replace("_", " "): value for name, value in settings.items() if value is not None}
    return ", ".join(f"{name} {_value(value)}" for name, value in shown.items())


def described(defences: Sequence[Mapping[str, Any]]) -> str:
    """The defences of a run with their settings, such as ``pruning (share 0.5), top-1``."""
    each = [(d["name"], listed(d.get("settings", {}))) for d in defences]
    return ", ".join(f"{name} ({settings})" if settings else name for name, settings in each)


def title(results: Mapping[str, Any]) -> str:
    """The name of a run's study, with its defences."""
    defences = described(results.get("defences", ()))
    return f"{results['preset']} with {defences}" if defences else str(results["preset"])


def utility(results: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """What the target of some runs is good for and costs, by name: means over the runs."""
    found = {}
    for key, name in _UTILITY.items():
        values = [run["target"].get(key) for run in results]
        there = [value for value in values if value is not None]
        found[name] = sum(there) / len(there) if there and len(there) == len(values) else None
    return found


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " to ".join(map(_value, value))
    return str(value)
