"""What commands print, beside the sentences of their own."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from brainleaks.errors import printable

_LONGEST = 100_000
_VERDICTS = {"leak": "red", "no leak shown": "green", "inconclusive": "yellow"}
_ANSWERS = {"yes": "red", "no": "green", "inconclusive": "yellow"}
#: In a narrower window, what was measured is not set under itself.
_NARROW = 80


def echo(text: object, *, err: bool = False) -> None:
    """Print text with control characters escaped: it may name a stranger's classes and files."""
    click.echo(printable(str(text), _LONGEST), err=err)


def say(text: str) -> None:
    """Tell how a long job stands, on stderr: stdout is for its result."""
    echo(text, err=True)


def print_json(content: Any) -> None:
    """One JSON object."""
    click.echo(json.dumps(content, allow_nan=False))


def print_results(results: dict[str, Any]) -> None:
    """A run's numbers: its networks and their judgement."""
    from brainleaks.runs import headline

    echo(headline(results))
    target = results["target"]
    origin = f", weights from {target['weights']['file']}" if "weights" in target else ""
    echo(f"target ({target['family']}): test accuracy {target['test_accuracy']:.4f}{origin}")
    for evaluator in results["evaluators"]:
        echo(f"evaluator {evaluator['name']}: test accuracy {evaluator['test_accuracy']:.4f}")
    print_judgement(results)


def print_judgement(results: dict[str, Any], *, always_why: bool = False) -> None:
    """The attacks and the verdict, with its reasons where it is inconclusive or ``always_why``."""
    if results["attacks"]:
        print_attacks(results["attacks"])
    for name, found in results["likeness"].items():
        if "panel" in found["metrics"]:
            panel = found["metrics"]["panel"]
            ends = f"{panel['low']:.3f} to {panel['high']:.3f}"
            echo(f"{name}: panel accuracy {panel['value']:.3f}, interval {ends}")
    for failure in results.get("failures", ()):
        echo(f"failed: {failure['part']} {failure['name']}: {failure['why']}")
    print_verdict(results["verdict"])
    print_scale(results["verdict"].get("levels", ()))
    if always_why or results["verdict"]["verdict"] == "inconclusive":
        for reason in results["verdict"]["reasons"]:
            _print_lines(_lines(f"  {reason}", 2))


def print_verdict(verdict: dict[str, Any]) -> None:
    """The sentence of a verdict, in its colour."""
    colour = _VERDICTS[verdict["verdict"]]
    _print_lines([click.style(line, colour, bold=True) for line in _lines(verdict["sentence"], 0)])


def print_scale(levels: Sequence[dict[str, Any]]) -> None:
    """Each level's answer, in its colour, and how much was measured of it."""
    width = max((len(rung["name"]) for rung in levels), default=0)
    for rung in levels:
        before = f"  {rung['level']} {rung['name']:<{width}}  "
        answer, under = f"{before}{rung['status']:<12}", len(before) + 14
        if rung["value"] is not None:
            ends = f"({rung['low']:.2f} to {rung['high']:.2f})"
            answer += f"  {rung['value']:.2f} {ends}: {rung['measure']}"
        narrow = shutil.get_terminal_size().columns < _NARROW
        first, *rest = _lines(answer.rstrip(), 6 if narrow else under)
        start, end = len(before), len(before) + len(rung["status"])
        status = click.style(first[start:end], _ANSWERS.get(rung["status"]))
        _print_lines([f"{first[:start]}{status}{first[end:]}", *rest])


def _lines(text: str, indent: int) -> list[str]:
    """Lines as wide as the window; one where there is no window, as in a pipe."""
    text = printable(text, _LONGEST)
    if not sys.stdout.isatty():
        return [text]
    width = max(20, shutil.get_terminal_size().columns)
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, drop_whitespace=True) or [""]


def _print_lines(lines: list[str]) -> None:
    """In colours, unless the user wants none (no-color.org) or there is no terminal."""
    for line in lines:
        click.echo(line, color=False if os.environ.get("NO_COLOR") else None)


def print_attacks(attacks: list[dict[str, Any]]) -> None:
    """A table of what each evaluator makes of each attack."""
    one, other = (
        2 + max(len(title), *(len(entry[key]) for entry in attacks))
        for title, key in (("attack", "name"), ("evaluator", "evaluator"))
    )
    echo(f"{'attack':<{one}}{'evaluator':<{other}}accuracy   top-3   conf.     DAA")
    for entry in attacks:
        metrics = (entry[k] for k in ("attack_accuracy", "top3_accuracy", "confidence", "daa"))
        figures = "".join(f"{value:>8.3f}" for value in metrics)
        echo(f"{entry['name']:<{one}}{entry['evaluator']:<{other}}{figures}")
        if draws := entry.get("draws"):
            mean, std = draws["mean"]["attack_accuracy"], draws["std"]["attack_accuracy"]
            echo(f"{'':<{one + other}}{mean:>8.3f} +- {std:.3f} over {draws['n']} draws")


def print_comparison(said: dict[str, Any], page: Path) -> None:
    """What runs leak beside each other, and the page that shows it."""
    for sentence in said["sentences"] or ["No difference is shown."]:
        echo(sentence)
    echo(f"comparison: {page}")
