"""The calibration's tables: how often each level is right where the right answer is known."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from brainleaks.evaluation.levels import LEVELS
from brainleaks.evaluation.membership import share
from brainleaks.files import atomic

ANSWERS = ("yes", "no", "inconclusive", "not tested")


class Truth(NamedTuple):
    """What a kind of target is, and whether it can show each level, where that is known."""

    what: str
    levels: dict[int, bool]


#: By kind of target.
TRUTH = {
    "untrained": Truth("never trained", {1: False, 2: False, 3: False, 4: False}),
    "shuffled-labels": Truth("trained under shuffled labels", {1: False, 2: False, 4: False}),
    "trained": Truth("trained as usual", {1: True}),
    "overfitted": Truth("overfitted to the data of the audit", {3: True}),
    "other-data": Truth(
        "trained on other data of the same classes than the audit is given", {3: False, 4: False}
    ),
    "repeated-samples": Truth("saw one sample of each class 50 times, and no other", {4: True}),
}


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
        audits: each with ``preset``, ``dataset``, ``small``, ``seed``, ``target`` (a key of
            :data:`TRUTH`) and ``levels``: the answer by level.
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
        "known": list(_known(audits)),
        "rows": _rows(audits),
        "left_out": left_out,
    }
    atomic.write_json(docs / "calibration.json", {**content, "audits": audits})
    text = _template().render(content, levels=LEVELS, truth=TRUTH)
    atomic.write_text(docs / "calibration.md", text)


def _known(audits: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each level, how often it was shown where it is false, and where it is true.

    Audits of one study and seed share data, judges and controls. The 95 % interval, after Clopper
    and Pearson, is therefore of the share of such groups in which any audit showed the level or,
    where it is true, in which all did.
    """
    for level in LEVELS:
        for true in (False, True):
            some = [a for a in audits if TRUTH[a["target"]].levels.get(level) is true]
            some = [a for a in some if a["levels"][str(level)] != "not tested"]
            if some:
                yield {"level": level, "true": true, **_counted(some, level, true)}


def _counted(audits: list[dict[str, Any]], level: int, true: bool) -> dict[str, Any]:
    answers = [audit["levels"][str(level)] for audit in audits]
    groups: dict[tuple[Any, ...], list[bool]] = {}
    for audit, answer in zip(audits, answers, strict=True):
        groups.setdefault(_group(audit), []).append(answer == "yes")
    shown = sum((all if true else any)(found) for found in groups.values())
    return {
        "audits": len(audits),
        **{answer: answers.count(answer) for answer in ANSWERS[:3]},
        "groups": len(groups),
        "groups_shown": dict(share(shown, len(groups))),
    }


def _group(audit: dict[str, Any]) -> tuple[Any, ...]:
    return audit["preset"], audit["dataset"], audit["seed"], tuple(audit.get("settings", ()))


def _rows(audits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Counts of answers by study and kind of target, in the order of the audits."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for audit in audits:
        named = {key: audit[key] for key in ("preset", "dataset", "small", "target")}
        tested = tuple(n for n, answer in audit["levels"].items() if answer != "not tested")
        counts = {n: dict.fromkeys(ANSWERS[:3], 0) for n in tested}
        row = rows.setdefault(
            (*named.values(), tested), {**named, "seeds": [], "audits": 0, "levels": counts}
        )
        row["audits"] += 1
        for level in tested:
            row["levels"][level][audit["levels"][level]] += 1
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
