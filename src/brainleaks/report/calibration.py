"""The calibration's table: how often each verdict is given if the correct one is known."""

from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from brainleaks.files import atomic

VERDICTS = ("leak", "no leak shown", "inconclusive")
_NULL = ("untrained", "shuffled-labels")


def write_calibration(
    audits: list[dict[str, Any]],
    left_out: dict[str, str],
    docs: Path,
    *,
    command: str,
    machine: dict[str, Any],
) -> None:
    """Write ``calibration.md`` and ``calibration.json``.

    Args:
        audits: each with ``preset``, ``dataset``, ``small``, ``seed``, ``target`` (``"untrained"``,
            ``"shuffled-labels"`` or ``"trained"``) and ``verdict``.
        left_out: presets whose data was not available, and why.
        docs: the folder to write to.
        command: what was typed.
        machine: what it ran on.

    Raises:
        InputError: if ``docs`` cannot be written.
    """
    content = {
        "command": command,
        "machine": machine,
        "false_leaks": false_leaks(audits),
        "rows": _rows(audits),
        "left_out": left_out,
    }
    atomic.write_json(docs / "calibration.json", {**content, "audits": audits})
    atomic.write_text(docs / "calibration.md", _template().render(content, verdicts=VERDICTS))


def false_leaks(audits: list[dict[str, Any]]) -> dict[str, Any]:
    """Among targets that hold nothing, how many were said to leak.

    Audits of one study and seed share their data, judges and controls; the 95 % interval, Clopper
    and Pearson's, is therefore of the share of such groups in which any audit said so.
    """
    from statsmodels.stats.proportion import proportion_confint  # slow to import

    null = [audit for audit in audits if audit["target"] in _NULL]
    said = sum(audit["verdict"] == "leak" for audit in null)
    if not null:
        return {"audits": 0, "leak": 0, "groups": 0, "share": None, "low": None, "high": None}
    groups = {_group(audit) for audit in null}
    wrong = {_group(audit) for audit in null if audit["verdict"] == "leak"}
    low, high = proportion_confint(len(wrong), len(groups), method="beta")
    return {
        "audits": len(null),
        "leak": said,
        "groups": len(groups),
        "share": said / len(null),
        "low": float(low),
        "high": float(high),
    }


def _group(audit: dict[str, Any]) -> tuple[Any, ...]:
    return audit["preset"], audit["dataset"], audit["seed"]


def _rows(audits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Counts of verdicts by study and kind of target, in the order of the audits."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for audit in audits:
        named = {key: audit[key] for key in ("preset", "dataset", "small", "target")}
        key = tuple(named.values())
        row = rows.setdefault(key, {**named, "seeds": [], "counts": dict.fromkeys(VERDICTS, 0)})
        row["counts"][audit["verdict"]] += 1
        if audit["seed"] not in row["seeds"]:
            row["seeds"].append(audit["seed"])
    return list(rows.values())


def _template() -> jinja2.Template:
    source = resources.files("brainleaks.report") / "calibration.md.j2"
    environment = jinja2.Environment(  # noqa: S701 (Markdown, of our own words and numbers)
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["share"] = lambda value: f"{100 * value:.1f} %"
    return environment.from_string(source.read_text(encoding="utf-8"))
