"""Calibration of the verdict: audits whose correct verdict is known."""

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from brainleaks.data import DATASETS
from brainleaks.data.files import data_folder
from brainleaks.data.parts import with_shuffled_labels
from brainleaks.errors import InputError
from brainleaks.files import atomic
from brainleaks.pipeline import Cache
from brainleaks.pipeline.evaluate import evaluate
from brainleaks.pipeline.loading import load_dataset
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.pipeline.provenance import machine
from brainleaks.randomness import stream
from brainleaks.report.calibration import write_calibration
from brainleaks.runs import read_results
from brainleaks.studies import Study, load_study


class _Cell(NamedTuple):
    """Audits of one study with as many seeds."""

    preset: str
    seeds: int
    settings: list[str]


def calibrate(
    runs: list[Path],
    *,
    data_dir: Path | None = None,
    out: Path = Path("docs"),
    device: str = "cpu",
    command: str,
    say: Callable[[str], object],
) -> Path:
    """Audit small targets, most of which cannot leak, and count the verdicts.

    The table is written after each study and seed; cached stages are not recomputed.

    Args:
        runs: folders of finished runs, of targets that were trained, whose verdicts are counted
            beside them.
        data_dir: folder to find data in; studies whose data is not there are left out.
        out: where ``calibration.md`` and ``calibration.json`` go.
        device: ``"cpu"`` or ``"cuda"``.
        command: what was typed, for the table.
        say: called with each line of progress.

    Returns:
        The path of ``calibration.md``.

    Raises:
        InputError: if a folder is not a finished run, or the table cannot be written.
    """
    nulls, cells = _plan()
    studies = [load_study(cell.preset, tuple(cell.settings)) for cell in cells]
    missing = {
        study.name: f"{study.data_name} is not in the data folder"
        for study in studies
        if not DATASETS[study.data_name].present(data_folder(data_dir))
    }
    for preset, reason in missing.items():
        say(f"left out: {preset}: {reason}")
    atomic.write_bytes(out / ".brainleaks-probe", b"")
    (out / ".brainleaks-probe").unlink()
    audits = [_finished(run) for run in runs]
    for cell, study in zip(cells, studies, strict=True):
        for seed in range(0 if study.name in missing else cell.seeds):
            audits += _audits(cell, nulls, study, seed, data_dir, device)
            write_calibration(audits, missing, out, command=command, machine=machine(device))
            say(f"finished: {cell.preset} (small), seed {seed}")
    return out / "calibration.md"


def _plan() -> tuple[int, list[_Cell]]:
    """The number of empty targets of each kind, and the studies."""
    source = resources.files("brainleaks.campaigns") / "calibration.yaml"
    content = yaml.safe_load(source.read_text(encoding="utf-8"))
    return content["nulls"], [_Cell(**cell) for cell in content["studies"]]


def _finished(run: Path) -> dict[str, Any]:
    """The verdict of a finished run."""
    results = read_results(run)
    if not (results.get("likeness") and results.get("verdict")):
        raise InputError(
            f"{run} has no class reconstructions that the panel evaluated; calibrate other runs."
        )
    return {
        "preset": results["preset"],
        "dataset": results["dataset"]["name"],
        "small": False,
        "settings": [],
        "seed": results["seed"],
        "target": "trained",
        **_decided(results["verdict"]),
    }


def _decided(verdict: dict[str, Any]) -> dict[str, Any]:
    return {key: verdict[key] for key in ("verdict", "content", "reasons")}


def _audits(
    cell: _Cell, nulls: int, study: Study, seed: int, data_dir: Path | None, device: str
) -> Iterator[dict[str, Any]]:
    """Every audit of one study and seed, with the verdict."""
    cache = Cache()
    pipeline = Pipeline(
        study, seed, load_dataset(study, data_folder(data_dir), cache), device, cache
    )
    for kind, target in _targets(pipeline, nulls):
        made = [pipeline.attack(name, attack, target, []) for name, attack in study.attacks.items()]
        if study.judging is None:
            raise ValueError("a calibration judges by the panel; its studies leave it in.")
        facts = evaluate(pipeline, study.judging, target, made).facts
        yield {
            "preset": cell.preset,
            "dataset": study.data_name,
            "small": True,
            "settings": cell.settings,
            "seed": seed,
            "target": kind,
            **_decided(facts["verdict"]),
        }


def _targets(pipeline: Pipeline, nulls: int) -> Iterator[tuple[str, Trained]]:
    """Targets to audit, by what they are; none shares a weight with the controls'."""
    model = pipeline.study.model
    for i in range(nulls):
        yield "untrained", pipeline.untrained(f"audited-untrained-{i}", model)
        shuffled = with_shuffled_labels(pipeline.dataset, stream(pipeline.seed, "audited", i))
        yield "shuffled-labels", pipeline.train(f"audited-shuffled-{i}", model, shuffled)
    yield "trained", pipeline.train("target", model)
