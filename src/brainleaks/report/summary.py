"""Several seeds of several presets as one table: mean and interval beside the paper's figures."""

import io
from importlib import resources
from pathlib import Path
from typing import Any, TypedDict

import jinja2
from PIL import Image
from scipy import stats

from brainleaks.files import atomic
from brainleaks.report import recovered, users
from brainleaks.report.figures import grid
from brainleaks.report.membership import over_seeds, without_curves
from brainleaks.report.metrics import TITLES
from brainleaks.report.page import METRICS, picture_rows
from brainleaks.report.pooling import SAID, pooled
from brainleaks.report.run import read_run
from brainleaks.runs import read_provenance, read_results

CONFIDENCE = 0.95
#: The paper's release prints three digits.
_PRINTED_TO = 0.0005
_SHOWN, _IN_FIGURE = 10, 8
_RECORDED = (
    "preset",
    "description",
    "seed",
    "dataset",
    "target",
    "evaluators",
    "attacks",
    "printed",
    "judges",
    "likeness",
    "controls",
    "verdict",
)

#: A run as :func:`record` keeps it: ``provenance`` and ``results``.
Record = dict[str, dict[str, Any]]


class Interval(TypedDict):
    """Over seeds: the mean, and where its ``CONFIDENCE`` interval begins and ends.

    ``low`` and ``high`` are ``None`` for a single seed; ``printed`` is the paper's figure, or
    ``None``.
    """

    mean: float
    low: float | None
    high: float | None
    values: list[float]
    printed: float | None


def interval(values: list[float], printed: float | None = None) -> Interval:
    """Student's t interval of a mean over seeds, clipped to [0, 1]."""
    mean = sum(values) / len(values)
    low = high = None
    if len(values) > 1:
        spread = stats.sem(values)
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * spread)
        low, high = max(0.0, mean - half), min(1.0, mean + half)
    return Interval(mean=mean, low=low, high=high, values=values, printed=printed)


def excludes(entry: Interval) -> bool:
    """Whether an interval excludes the printed figure, beyond its rounding."""
    if entry["printed"] is None or entry["low"] is None or entry["high"] is None:
        return False
    return not (entry["low"] - _PRINTED_TO <= entry["printed"] <= entry["high"] + _PRINTED_TO)


def record(run: Path) -> Record:
    """What a table needs of a finished run: where it comes from, and its results, without curves.

    Raises:
        InputError: if ``run`` is not a finished run.
    """
    results = read_results(run)
    for entry in (results["target"], *results["evaluators"], *results["attacks"]):
        for key in ("curve", "matrix"):
            entry.pop(key, None)
    for found in (*results["likeness"].values(), *results["controls"]):
        found["metrics"] = {key: found["metrics"][key] for key in SAID if key in found["metrics"]}
    kept = {key: results[key] for key in _RECORDED}
    kept |= {"defences": results["defences"]} if "defences" in results else {}
    evidence = results.get("evidence", {})
    if membership := evidence.get("membership"):
        kept["evidence"] = {"membership": without_curves(membership)}
    for kind in (users.KIND, recovered.KIND):
        if found := evidence.get(kind):
            kept["evidence"] = kept.get("evidence", {}) | {kind: found}
    return {"provenance": read_provenance(run), "results": kept}


def records(table: Path) -> list[Record]:
    """The runs in a table's JSON; none if it does not exist."""
    content = atomic.read_json(table) if table.exists() else {}
    return [found for cell in content.get("cells", []) for found in cell.get("runs", [])]


def summarise(runs: list[Record]) -> dict[str, Any]:
    """One preset's runs, with different seeds, as JSON."""
    each = [run["results"] for run in runs]
    first, provenance = each[0], runs[0]["provenance"]
    printed = first["printed"]
    return {
        "preset": first["preset"],
        "description": first["description"],
        "seeds": [results["seed"] for results in each],
        "command": provenance["command"],
        "study": provenance["study"],
        "machines": machines([run["provenance"] for run in runs]),
        "dataset": {key: first["dataset"][key] for key in ("name", "classes", "train", "test")},
        "target": _network(
            [results["target"] for results in each], printed["target_test_accuracy"]
        ),
        "evaluators": {
            entries[0]["name"]: _network(entries, printed["evaluator_test_accuracy"])
            for entries in _in_all([results["evaluators"] for results in each], ("name",))
        },
        "attacks": [
            _attack(entries, printed["attacks"])
            for entries in _in_all([r["attacks"] for r in each], ("name", "evaluator"))
        ],
        "judgement": pooled(each),
        "membership": over_seeds(each, interval),
        "users": users.over_seeds(each),
        "recovered": recovered.over_seeds(each, interval),
        "runs": runs,
    }


def _in_all(each: list[list[dict[str, Any]]], keys: tuple[str, ...]) -> list[list[dict[str, Any]]]:
    """The entries that every run has, run by run; what failed in one is left out."""
    runs = [{tuple(entry[key] for key in keys): entry for entry in entries} for entries in each]
    return [[run[key] for run in runs] for key in runs[0] if all(key in run for run in runs)]


def machines(each: list[dict[str, Any]]) -> dict[str, list[int]]:
    """What runs ran on and with, each with the seeds that did.

    Args:
        each: the provenance of the runs.
    """
    found: dict[str, list[int]] = {}
    for made in each:
        on = made["machine"]
        words = f"{on['processor']}, {on['threads']} threads, {on['device']}, torch "
        found.setdefault(words + made["versions"]["torch"], []).append(made["seed"])
    return found


def _network(facts: list[dict[str, Any]], printed: float | None) -> dict[str, Any]:
    return {
        "train_accuracy": interval([f["train_accuracy"] for f in facts]),
        "test_accuracy": interval([f["test_accuracy"] for f in facts], printed),
        "seconds": _mean([f["seconds"] for f in facts]),
    }


def _attack(entries: list[dict[str, Any]], printed: dict[str, Any]) -> dict[str, Any]:
    name = entries[0]["name"]
    paper = printed.get(name, {})
    summary = {
        "name": name,
        "evaluator": entries[0]["evaluator"],
        "metrics": {key: interval([e[key] for e in entries], paper.get(key)) for key in METRICS},
        "seconds": _mean([e["seconds"] for e in entries]),
    }
    if all("draws" in entry for entry in entries):
        summary["draws"] = _draws([e["draws"] for e in entries], paper.get("draws") or {})
    return summary


def _draws(each: list[dict[str, Any]], paper: dict[str, float | None]) -> dict[str, Any]:
    """Means over Bernoulli draws, and ``spreads``: their standard deviations, mean over seeds."""
    return {
        "n": each[0]["n"],
        "metrics": {
            key: interval([d["mean"][key] for d in each], paper.get(key)) for key in METRICS
        },
        "spreads": {
            key: {
                "mean": sum(d["std"][key] for d in each) / len(each),
                "printed": paper.get(f"{key}_std"),
            }
            for key in METRICS
        },
    }


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 1)


def write_summary(
    runs: dict[str, list[Record]],
    pictured: dict[str, Path],
    *,
    why: dict[str, str],
    notes: dict[str, str],
    left_out: dict[str, str],
    page: Path,
    command: str,
    title: str = "Results",
) -> None:
    """Write a table, the same as JSON beside it, and a picture of each preset's first run.

    Args:
        runs: the finished runs of each preset.
        pictured: of each preset, the folder of the run that is pictured; the picture of a preset
            without stays as it is.
        why: what explains a preset's departures from the printed figures.
        notes: what a preset's figures are never shown without.
        left_out: the presets that were not run, and why.
        page: the table to write; ``images/`` lies beside it.
        command: what was typed.
        title: of the page.

    Raises:
        InputError: if a folder is not a finished run, or cannot be written.
    """
    cells = [summarise(each) for each in runs.values()]
    for cell in cells:
        preset = cell["preset"]
        cell |= {"departures": departures(cell), "why": why.get(preset, "")}
        cell["note"] = notes.get(preset, "")
    for preset, run in pictured.items():
        results, image = runs[preset][0]["results"], page.parent / "images" / f"{preset}.png"
        if results["attacks"]:
            atomic.write_bytes(image, _grid(run, _SHOWN))
        found = results.get("evidence", {}).get(recovered.KIND)
        if found and found["attacks"]:
            atomic.write_bytes(image, _batch(run, found))
    content = {
        "command": command,
        "confidence": CONFIDENCE,
        "cells": cells,
        "left_out": left_out,
    }
    atomic.write_json(page.with_suffix(".json"), content)
    text = _template().render(
        content, metrics=METRICS, said={key: TITLES[key] for key in SAID}, title=title
    )
    atomic.write_text(page, text)


def write_figure(runs: list[Path], path: Path) -> None:
    """The paper's central figure: ground truth and each attack's pictures, one run below another.

    Raises:
        InputError: if a folder is not a finished run, or ``path`` cannot be written.
    """
    bands = [Image.open(io.BytesIO(_grid(run, _IN_FIGURE))).convert("L") for run in runs]
    width = max(band.width for band in bands)
    figure = Image.new("L", (width, sum(band.height for band in bands)), "white")
    top = 0
    for band in bands:
        figure.paste(band, (width - band.width, top))
        top += band.height
    buffer = io.BytesIO()
    figure.save(buffer, "PNG", optimize=True)
    atomic.write_bytes(path, buffer.getvalue())


def departures(cell: dict[str, Any]) -> list[str]:
    """The figures of a cell whose interval excludes what the paper's release prints."""
    networks = {"target": cell["target"], **cell["evaluators"]}
    found = {f"test accuracy of {name}": facts["test_accuracy"] for name, facts in networks.items()}
    for attack in cell["attacks"]:
        for key, label in METRICS.items():
            found[f"{label} of {attack['name']}"] = attack["metrics"][key]
            if "draws" in attack:
                found[f"{label} of {attack['name']} over draws"] = attack["draws"]["metrics"][key]
    return [name for name, entry in found.items() if excludes(entry)]


def _grid(run: Path, classes: int) -> bytes:
    """A PNG of the first classes of a run."""
    read = read_run(run)
    rows = {label: row[:classes] for label, row in picture_rows(read).items()}
    return grid(rows, read.class_names[:classes], dpi=150)


def _batch(run: Path, found: dict[str, Any]) -> bytes:
    """A PNG of the first private samples of a run, and of what an attack recovered of them."""
    size = found["batch_size"]
    pictures = read_run(run).samples(recovered.file(next(iter(found["attacks"]))), 2 * size)
    count = min(size, _SHOWN)
    rows = {"private": pictures[:count], "recovered": pictures[size : size + count]}
    return grid(rows, [str(i + 1) for i in range(count)], dpi=150)


def _template() -> jinja2.Template:
    source = (resources.files("brainleaks.report") / "results.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(  # noqa: S701 (Markdown, of our own words and numbers)
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "beside_paper": _beside_paper,
        "over_draws": _over_draws,
        "interval": _interval,
        "measured": _measured,
    }
    return environment.from_string(source)


def _beside_paper(entry: Interval) -> str:
    """Mean, interval, and the printed figure where there is one."""
    text = _measured(entry)
    return text if entry["printed"] is None else f"{text} *{entry['printed']:.3f}*"


def _over_draws(entry: Interval, spread: dict[str, float | None]) -> str:
    """As :func:`_beside_paper`, each mean with its spread over draws."""
    text = f"{_measured(entry)} ± {spread['mean']:.3f}"
    if entry["printed"] is None:
        return text
    behind = "" if spread["printed"] is None else f" ± {spread['printed']:.3f}"
    return f"{text} *{entry['printed']:.3f}{behind}*"


def _measured(entry: Interval) -> str:
    text = f"{entry['mean']:.3f}"
    if entry["low"] is not None:
        text += f" [{entry['low']:.3f}, {entry['high']:.3f}]"
    return f"**{text}**" if excludes(entry) else text


def _interval(entry: dict[str, float | None]) -> str:
    """A mean over clusters and its interval; nothing where nothing was measured."""
    if entry["value"] is None:
        return ""
    return f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"
