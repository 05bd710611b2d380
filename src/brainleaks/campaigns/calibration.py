"""Calibration of the verdict: audits in which the right answer is known."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import yaml
from torch import Tensor

from brainleaks.data import DATASETS, Dataset
from brainleaks.data.files import data_folder
from brainleaks.data.parts import select, with_shuffled_labels
from brainleaks.errors import InputError
from brainleaks.evaluation.verdict import decide
from brainleaks.files import atomic
from brainleaks.pipeline import Cache
from brainleaks.pipeline.controls import OwnTargets
from brainleaks.pipeline.evidence import KINDS, Case
from brainleaks.pipeline.loading import load_dataset
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.pipeline.provenance import machine
from brainleaks.randomness import stream
from brainleaks.report.calibration import write_calibration
from brainleaks.runs import read_results
from brainleaks.studies import Study, load_study

#: Targets of each kind that hold nothing, by study and seed.
_EMPTY = 3
#: Targets that are audited with data which none of them saw, by study and seed.
_UNSEEN = 5
#: The training samples of a class are so many times the same one.
_TIMES = 50


class _Cell(NamedTuple):
    """Audits of one study with as many seeds, of targets as ``targets`` names them."""

    targets: Literal["class-content", "membership", "single-samples"]
    preset: str
    seeds: int
    settings: list[str]


class _Audit(NamedTuple):
    """A target, what it is, and the pipeline that audits it with its data."""

    kind: str
    target: Trained
    pipeline: Pipeline


def calibrate(
    runs: list[Path],
    *,
    data_dir: Path | None = None,
    out: Path = Path("docs"),
    device: str = "cpu",
    command: str,
    say: Callable[[str], object],
) -> Path:
    """Audit small targets of which it is known what they can leak, and count the answers.

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
    cells = _plan()
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
    done: dict[tuple[str, str], int] = {}
    for cell, study in zip(cells, studies, strict=True):
        for seed in range(0 if study.name in missing else cell.seeds):
            audits += _audits(cell, study, seed, data_dir, device)
            done[cell.targets, cell.preset] = seed + 1
            write_calibration(
                audits,
                missing | _unfinished(cells, done),
                out,
                command=command,
                machine=machine(device),
            )
            say(f"finished: {cell.targets} of {cell.preset} (small), seed {seed}")
    return out / "calibration.md"


def _unfinished(cells: list[_Cell], done: dict[tuple[str, str], int]) -> dict[str, str]:
    """The cells of which seeds are left, each with how many."""
    left = [(cell, cell.seeds - done.get((cell.targets, cell.preset), 0)) for cell in cells]
    return {
        f"{cell.targets} of {cell.preset}": f"{count} of {cell.seeds} seeds are not run yet"
        for cell, count in left
        if count
    }


def _plan() -> list[_Cell]:
    """The studies, and what is audited in each."""
    source = resources.files("brainleaks.campaigns") / "calibration.yaml"
    return [_Cell(**cell) for cell in yaml.safe_load(source.read_text(encoding="utf-8"))]


def _finished(run: Path) -> dict[str, Any]:
    """The verdict of a finished run."""
    results = read_results(run)
    if not results.get("verdict", {}).get("levels"):
        raise InputError(
            f"{run} has no verdict with levels; calibrate other runs, or run it again."
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


def _decided(verdict: Any) -> dict[str, Any]:
    rungs = {str(rung["level"]): rung for rung in verdict["levels"]}
    return {
        "levels": {level: rung["status"] for level, rung in rungs.items()},
        "reached": {n: [r[end] for end in ("value", "low", "high")] for n, r in rungs.items()},
        "sentence": verdict["sentence"],
    }


def _audits(
    cell: _Cell, study: Study, seed: int, data_dir: Path | None, device: str
) -> Iterator[dict[str, Any]]:
    """Every audit of one study and seed, with the answers."""
    cache = Cache()
    dataset = load_dataset(study, data_folder(data_dir), cache)
    new = partial(_pipeline, study, seed, device, cache)
    for kind, target, pipeline in _TARGETS[cell.targets](new, dataset):
        claims, remarks = [], []
        for name in sorted({attack.kind for attack in study.attacks.values()}):
            attacks = {label: a for label, a in study.attacks.items() if a.kind == name}
            case = Case(pipeline, target, OwnTargets(pipeline), [], attacks)
            evidence = KINDS[name].gather(case)
            claims += evidence.claims
            remarks += evidence.remarks
        yield {
            "preset": cell.preset,
            "dataset": study.data_name,
            "small": True,
            "settings": cell.settings,
            "seed": seed,
            "target": kind,
            **_decided(decide(claims, remarks)),
        }


_New = Callable[[Dataset], Pipeline]


def _pipeline(study: Study, seed: int, device: str, cache: Cache, dataset: Dataset) -> Pipeline:
    return Pipeline(study, seed, dataset, device, cache)


def _of_class_content(new: _New, dataset: Dataset) -> Iterator[_Audit]:
    """Targets of which most hold nothing; none shares a weight with the controls'."""
    pipeline = new(dataset)
    model = pipeline.study.model
    for i in range(_EMPTY):
        untrained = pipeline.untrained(f"audited-untrained-{i}", model)
        yield _Audit("untrained", untrained, pipeline)
        shuffled = with_shuffled_labels(dataset, stream(pipeline.seed, "audited", i))
        trained = pipeline.train(f"audited-shuffled-{i}", model, shuffled)
        yield _Audit("shuffled-labels", trained, pipeline)
    yield _Audit("trained", pipeline.train("target", model), pipeline)


def _of_membership(new: _New, dataset: Dataset) -> Iterator[_Audit]:
    """One network, audited with the half that it saw, and several with the half that none saw."""
    count = len(dataset.train.labels)
    order = torch.randperm(count, generator=stream(new(dataset).seed, "audited halves"))
    first, second = order.tensor_split(2)
    seen, unseen = new(_trained_on(dataset, first)), new(_trained_on(dataset, second))
    model = seen.study.model
    target = seen.train("target", model)
    yield _Audit("overfitted", target, seen)
    yield _Audit("other-data", target, unseen)
    for i in range(1, _UNSEEN):
        another = seen.train(f"audited-other-{i}", model, seen.dataset)
        yield _Audit("other-data", another, unseen)


def _of_single_samples(new: _New, dataset: Dataset) -> Iterator[_Audit]:
    """One sample of each class, seen many times and alone of its class, and never seen."""
    labels = dataset.train.labels
    order = torch.randperm(len(labels), generator=stream(new(dataset).seed, "repeated"))
    each = [order[labels[order] == c] for c in range(len(dataset.class_names))]
    repeated = torch.cat([c[:1].repeat(_TIMES) for c in each])
    others = torch.cat([c[1:] for c in each])
    pipeline = new(_trained_on(dataset, repeated))
    model = pipeline.study.model
    yield _Audit("repeated-samples", pipeline.train("target", model), pipeline)
    elsewhere = _trained_on(dataset, others)
    yield _Audit("other-data", pipeline.train("audited-other", model, elsewhere), pipeline)


def _trained_on(dataset: Dataset, which: Tensor) -> Dataset:
    return replace(dataset, train=select(dataset.train, which))


_TARGETS: dict[str, Callable[[_New, Dataset], Iterator[_Audit]]] = {
    "class-content": _of_class_content,
    "membership": _of_membership,
    "single-samples": _of_single_samples,
}
