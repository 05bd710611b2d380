"""The verdict of a run as Markdown, for a summary of continuous integration."""

import html
from pathlib import Path
from typing import Any

from brainleaks.errors import printable
from brainleaks.report.run import read_run

_ACTIVE = "\\`*_{}[]()#+!|~"


def verdict_as_markdown(folder: Path) -> str:
    """The sentence of the verdict, and a table of the levels.

    Args:
        folder: of a finished run.

    Raises:
        InputError: if it is none, or was changed since.
    """
    results = read_run(folder).results
    verdict, data = results["verdict"], results["dataset"]
    lines = [
        f"### {_plain(verdict['sentence'])}",
        "",
        f"{_plain(results['preset'])}, seed {results['seed']}: {data['classes']} classes, "
        f"{data['train']:,} training samples, test accuracy of the model "
        f"{results['target']['test_accuracy']:.3f}.",
        "",
        "| level | shown | measured |",
        "|---|---|---|",
        *map(_row, verdict["levels"]),
    ]
    if verdict["reasons"]:
        lines += ["", *(f"- {_plain(reason)}" for reason in verdict["reasons"])]
    for failure in results.get("failures", ()):
        lines.append(f"- Failed: {_plain(' '.join(failure[k] for k in ('part', 'name', 'why')))}")
    return "\n".join(lines) + "\n"


def _row(rung: dict[str, Any]) -> str:
    measured = ""
    if rung["value"] is not None:
        ends = f"{rung['low']:.2f} to {rung['high']:.2f}"
        measured = f"{rung['value']:.2f} ({ends}): {_plain(rung['measure'])}"
    return f"| {rung['level']} {_plain(rung['name'])} | {rung['status']} | {measured} |"


def _plain(text: str) -> str:
    """Text that is neither HTML nor Markdown, in a line: it may name a stranger's files."""
    line = " ".join(printable(text, len(text)).split())
    return "".join(f"\\{c}" if c in _ACTIVE else html.escape(c, quote=False) for c in line)
