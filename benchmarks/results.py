"""``make results``: run the presets in full, and write ``docs/results.md`` and its pictures."""

import argparse
from pathlib import Path
from typing import Any

from brainleaks import atomic, keep_freed_memory
from brainleaks.report import picture_rows, write_report
from brainleaks.report.page import METRICS
from brainleaks.report.pictures import write_grid
from brainleaks.study import folder, load_study, run_study

PRESETS = ("faces-snn", "faces-ann", "demo")
SHOWN = 10
HEAD = """# Results

Written by `make results`. Shares are from 0 to 1; in italics, the figures that the paper's release
prints. Seconds are those of one run on a machine that may have had other work.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the presets and publish their results.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    keep_freed_memory()
    sections = []
    for preset in PRESETS:
        place = arguments.runs / f"{preset}-seed{arguments.seed}"
        folder.prepare(place)
        outcome = run_study(
            load_study(preset),
            seed=arguments.seed,
            command=f"brainleaks run {preset} --seed {arguments.seed}",
        )
        results = folder.write(outcome, place, write_report)
        rows = {label: row[:SHOWN] for label, row in picture_rows(place, results).items()}
        names = results["dataset"]["class_names"][:SHOWN]
        write_grid(rows, names, arguments.docs / "images" / f"{preset}.png")
        sections.append(_section(results, atomic.read_json(place / "provenance.json")))
    atomic.write_text(arguments.docs / "results.md", HEAD + "\n".join(sections))


def _section(results: dict[str, Any], provenance: dict[str, Any]) -> str:
    preset, seed, target = results["preset"], results["seed"], results["target"]
    printed, facts = results["printed"], provenance["machine"]
    lines = [
        f"## {preset}",
        "",
        f"`brainleaks run {preset} --seed {seed}`, study {provenance['study']}, on "
        f"{facts['processor']}, {facts['threads']} threads, {facts['device']}, "
        f"torch {provenance['versions']['torch']}.",
        "",
        results["description"],
        "",
        f"![Training images and reconstructions](images/{preset}.png)",
        "",
        "| network | train accuracy | test accuracy | seconds |",
        "|---|---|---|---|",
        _network("target", target, printed["target_test_accuracy"]),
    ]
    lines += [
        *(
            _network(f"evaluator {e['name']}", e, printed["evaluator_test_accuracy"])
            for e in results["evaluators"]
        ),
        "",
        "| attack | " + " | ".join(METRICS.values()) + " | seconds |",
        "|" + "---|" * (len(METRICS) + 2),
    ]
    for entry in results["attacks"]:
        cells = [_share(entry[key]) for key in METRICS]
        lines.append(f"| {entry['name']} | " + " | ".join(cells) + f" | {entry['seconds']:.1f} |")
        if draws := entry.get("draws"):
            spread = [f"{_share(draws['mean'][k])} ± {_share(draws['std'][k])}" for k in METRICS]
            lines.append(f"| over {draws['n']} draws | " + " | ".join(spread) + " | |")
        if figures := printed["attacks"].get(entry["name"]):
            paper = [f"*{_share(figures[key])}*" for key in METRICS]
            lines.append("| *paper* | " + " | ".join(paper) + " | |")
    return "\n".join(lines) + "\n"


def _network(name: str, facts: dict[str, Any], paper: float | None) -> str:
    test = _share(facts["test_accuracy"]) + (f" (*{_share(paper)}*)" if paper else "")
    return f"| {name} | {_share(facts['train_accuracy'])} | {test} | {facts['seconds']:.0f} |"


def _share(value: float) -> str:
    return f"{value:.3f}"


if __name__ == "__main__":
    main()
