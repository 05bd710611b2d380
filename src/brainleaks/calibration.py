"""How far the verdict can be trusted: audits whose true answer is known."""

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from brainleaks.data import DATASETS
from brainleaks.data.files import data_folder
from brainleaks.data.parts import with_shuffled_labels
from brainleaks.errors import InputError
from brainleaks.randomness import stream
from brainleaks.report.calibration import write_calibration
from brainleaks.study import Store, Study, load_study
from brainleaks.study.loading import load_dataset
from brainleaks.study.provenance import machine
from brainleaks.study.road import Road, Trained
from brainleaks.study.trial import hold


class _Cell(NamedTuple):
    """Audits of one study with as many seeds; ``nulls`` targets of each kind that hold nothing."""

    preset: str
    seeds: int
    settings: tuple[str, ...] = ()
    nulls: int = 0


def calibrate(
    *,
    data_dir: Path | None = None,
    out: Path = Path("docs"),
    device: str = "cpu",
    command: str,
    say: Callable[[str], object],
) -> Path:
    """Audit targets that cannot leak, many small ones, and targets that must, and count verdicts.

    The table is written anew after each study and seed; what is in the store is not made again.

    Args:
        data_dir: folder to find data in; studies whose data is not there are left out.
        out: where ``calibration.md`` and ``calibration.json`` go.
        device: ``"cpu"`` or ``"cuda"``.
        command: what was typed, for the table.
        say: is told what was left out and what is finished.

    Returns:
        The path of ``calibration.md``.

    Raises:
        InputError: if no study's data is at hand, or the table cannot be written.
    """
    audits: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for cell in _cells():
        study = load_study(cell.preset, cell.settings)
        if not DATASETS[study.dataset].present(data_folder(data_dir)):
            missing[cell.preset] = f"{study.dataset} is not in the data folder"
            say(f"left out: {cell.preset}: {missing[cell.preset]}")
            continue
        for seed in range(cell.seeds):
            audits += _audits(cell, study, seed, data_dir, device)
            write_calibration(audits, missing, out, command=command, machine=machine(device))
            say(f"finished: {cell.preset}{' (small)' * bool(cell.nulls)}, seed {seed}")
    if not audits:
        raise InputError("no study of the calibration has its data at hand.")
    return out / "calibration.md"


def _cells() -> list[_Cell]:
    source = resources.files("brainleaks.study") / "calibration.yaml"
    content = yaml.safe_load(source.read_text(encoding="utf-8"))
    small = [
        _Cell(**{**cell, "settings": tuple(cell["settings"])}, nulls=content["nulls"])
        for cell in content["small"]
    ]
    return small + [_Cell(**cell) for cell in content["full"]]


def _audits(
    cell: _Cell, study: Study, seed: int, data_dir: Path | None, device: str
) -> Iterator[dict[str, Any]]:
    """Every audit of one study and seed, with the verdict."""
    store = Store()
    road = Road(study, seed, load_dataset(study, data_folder(data_dir), store), device, store)
    for kind, target in _targets(road, cell.nulls):
        made = [road.attack(name, attack, target, []) for name, attack in study.attacks.items()]
        if study.judging is None:
            raise ValueError("a calibration judges by the panel; its studies leave it in.")
        facts = hold(road, study.judging, target, made).facts
        yield {
            "preset": cell.preset,
            "small": bool(cell.nulls),
            "settings": list(cell.settings),
            "seed": seed,
            "target": kind,
            "verdict": facts["verdict"]["verdict"],
            "content": facts["verdict"]["content"],
            "reasons": facts["verdict"]["reasons"],
        }


def _targets(road: Road, nulls: int) -> Iterator[tuple[str, Trained]]:
    """Targets to audit, by what they are; none shares a weight with the controls'."""
    model = road.study.target
    for i in range(nulls):
        yield "untrained", road.untrained(f"audited-untrained-{i}", model)
        shuffled = with_shuffled_labels(road.dataset, stream(road.seed, "audited", i))
        yield "shuffled-labels", road.train(f"audited-shuffled-{i}", model, shuffled)
    yield "trained", road.train("target", model)
