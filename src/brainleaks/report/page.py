"""The page: numbers, the paper's own beside them, and a picture of every class."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from brainleaks import atomic
from brainleaks.report.pictures import Picture, data_uri, pictures, write_grid
from brainleaks.results import read_results

METRICS = {
    "attack_accuracy": "Attack accuracy",
    "top3_accuracy": "Top-3 accuracy",
    "confidence": "Confidence",
    "daa": "DAA",
}
_TRUTH = "training sample"


def write_report(folder: Path) -> Path:
    """Make ``report.html`` and ``figures/`` from the other files of a run folder.

    Raises:
        InputError: if ``folder`` is not a finished run, or cannot be written.
    """
    results = read_results(folder)
    provenance = atomic.read_json(folder / "provenance.json")
    rows = picture_rows(folder, results)
    names = results["dataset"]["class_names"]
    write_grid(rows, names, folder / "figures" / "reconstructions.png")
    page = _template().render(
        results=results,
        provenance=provenance,
        study=(folder / "study.yaml").read_text(encoding="utf-8"),
        metrics=METRICS,
        attacks=results["attacks"],
        classes=[
            {"name": name, "pictures": {label: data_uri(row[i]) for label, row in rows.items()}}
            for i, name in enumerate(names)
        ],
        command=provenance["command"],
    )
    atomic.write_text(folder / "report.html", page)
    return folder / "report.html"


def picture_rows(folder: Path, results: dict[str, Any]) -> dict[str, list[Picture]]:
    """One training sample a class and each attack's reconstructions, by label."""
    shape = tuple(results["dataset"]["input_shape"])
    truth = atomic.read_tensors(folder / "truth.safetensors")["inputs"]
    rows = {_TRUTH: pictures(truth.numpy().astype(np.float32), shape)}
    for name in dict.fromkeys(entry["name"] for entry in results["attacks"]):
        stored = atomic.read_tensors(folder / "reconstructions" / f"{name}.safetensors")
        rows[name] = pictures(stored["reconstruction"].numpy().astype(np.float32), shape)
    return rows


def _template() -> jinja2.Template:
    source = (resources.files("brainleaks.report") / "page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["share"] = lambda value: f"{value:.3f}"
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2)
    return environment.from_string(source)
