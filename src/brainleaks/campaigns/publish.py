"""Studies run over several seeds, and their table: how a result is published."""

import itertools
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from brainleaks.campaigns.collection import Collection, collection, left_out
from brainleaks.errors import InputError, option
from brainleaks.files import atomic
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.keys import digest
from brainleaks.report import write_report
from brainleaks.report.frontier import write_frontier
from brainleaks.report.summary import Record, record, records, write_figure, write_summary
from brainleaks.runs import folder
from brainleaks.studies import Study, load_study
from brainleaks.studies.reading import COLLECTIONS


def publish(
    name: str,
    seeds: range,
    *,
    settings: tuple[str, ...] = (),
    trust: bool = False,
    data_dir: Path | None = None,
    out: Path | None = None,
    runs: Path = Path("runs"),
    device: str = "cpu",
    keep: bool = False,
    command: str,
    say: Callable[[str], object],
) -> Path:
    """Run a study, or every study of a collection whose data is available, with several seeds.

    The table is written after each run, so that an interrupted campaign leaves its finished part.

    Args:
        name: a preset, a study file, or one of ``COLLECTIONS``, such as ``"paper"``.
        seeds: with which seeds.
        settings: changes of the study, as ``path.to.field=value``; a collection takes none.
        trust: whether functions that a study file names may be imported.
        data_dir: folder of the data.
        out: folder of the table; by default ``docs`` for a collection, else ``runs/NAME-seeds``.
        runs: where the run folders go: ``NAME-seedN``, or ``COLLECTION/NAME-seedN``.
        device: ``"cpu"`` or ``"cuda"``.
        keep: whether runs that the table has already are kept instead of run again.
        command: what was typed, for the table.
        say: called with each line of progress.

    Returns:
        The path of the table.

    Raises:
        InputError: as :func:`brainleaks.pipeline.run_study`, if no study's data is available, or if
            the table would overwrite another file.
    """
    whole, missing = collection(name) if name in COLLECTIONS else None, dict[str, str]()
    if whole and settings:
        raise InputError(f"{option('set')}: {name} has no fields of its own; set a preset's.")
    if whole is None:
        chosen = [_Chosen(load_study(name, settings, trust=trust), name, settings)]
        docs, places = out or runs / f"{chosen[0].study.name}-seeds", runs
    else:
        chosen, missing = _cells(whole, data_dir)
        docs, places = out or Path("docs"), runs / name
    studies = [one.study for one in chosen]
    page = _prepared(docs / f"{whole.page if whole else 'results'}.md")
    table = _Table(whole, page, command, {study.name: {} for study in studies}, {}, missing)
    table.presets = {one.study.name: one.preset for one in chosen}
    if keep:
        table.keep(studies, seeds, places, say)
    table.say_what_is_missing(say)
    for seed, study in table.left(studies, seeds):
        place = places / f"{study.name}-seed{seed}"
        command = _again(next(one for one in chosen if one.study is study), seed)
        _run(study, seed, place, data_dir=data_dir, device=device, command=command)
        table.add(study.name, seed, place)
        say(f"finished: {place}")
    table.write()
    return page


def _run(study: Study, seed: int, place: Path, **options: Any) -> None:
    folder.prepare(place, study, seed)
    folder.write(run_study(study, seed=seed, **options), place, write_report)


class _Chosen(NamedTuple):
    """A study, and the preset or file and the changes that it was made of."""

    study: Study
    preset: str
    settings: tuple[str, ...]


@dataclass
class _Table:
    """The table that is written after each run."""

    whole: Collection | None
    page: Path
    command: str
    runs: dict[str, dict[int, Record]]
    pictured: dict[str, Path]
    missing: dict[str, str]
    #: the preset of each study
    presets: dict[str, str] = field(default_factory=dict)

    def keep(
        self, studies: list[Study], seeds: range, places: Path, say: Callable[[str], object]
    ) -> None:
        """Take over the runs that the table on disk has of these studies and seeds."""
        there = {_mark(found): found for found in records(self.page.with_suffix(".json"))}
        for study, seed in itertools.product(studies, seeds):
            if found := there.get((digest(study.model_dump(mode="json")), seed)):
                self.runs[study.name][seed] = found
                place = places / f"{study.name}-seed{seed}"
                if seed == min(self.runs[study.name]) and _still_there(place, found):
                    self.pictured[study.name] = place
                say(f"kept: {study.name}, seed {seed}")

    def left(self, studies: list[Study], seeds: range) -> list[tuple[int, Study]]:
        """What remains to be run: every study with one seed before the next."""
        return [
            (seed, study)
            for seed, study in itertools.product(seeds, studies)
            if study.name not in self.missing and seed not in self.runs[study.name]
        ]

    def say_what_is_missing(self, say: Callable[[str], object]) -> None:
        """Say which studies were left out, and why."""
        for preset, reason in self.missing.items():
            if not self.runs[preset]:
                say(f"left out: {preset}: {reason}")

    def add(self, name: str, seed: int, place: Path) -> None:
        """Add a finished run, and write the table."""
        self.runs[name][seed] = record(place)
        if seed == min(self.runs[name]):
            self.pictured[name] = place
        self.write()

    def write(self) -> None:
        runs = {name: [by[seed] for seed in sorted(by)] for name, by in self.runs.items() if by}
        cells = self.whole.cells if self.whole else []
        how: dict[str, Any] = {
            "left_out": {
                name: self.missing.get(name, "not run yet")
                for name in self.runs
                if name not in runs
            },
            "page": self.page,
            "command": self.command,
            "title": self.whole.title if self.whole else "Results",
        }
        if self.whole and self.whole.frontier:
            by_preset: dict[str, list[str]] = {}
            for name, preset in self.presets.items():
                by_preset.setdefault(preset, []).append(name)
            write_frontier(runs, by_preset, **how)
            return
        write_summary(
            runs,
            self.pictured,
            why={cell.preset: cell.why for cell in cells},
            notes={cell.preset: cell.note for cell in cells},
            **how,
        )
        rows = self.whole.figure if self.whole else []
        shown = [next((preset for preset in row if preset in runs), None) for row in rows]
        first = [self.pictured.get(preset) for preset in shown if preset is not None]
        if self.whole and first and None not in first:
            picture = self.page.parent / "images" / self.whole.picture
            write_figure([run for run in first if run is not None], picture)


def _still_there(place: Path, found: Record) -> bool:
    """Whether the folder of a kept run still exists, so that it can be pictured."""
    return (place / "report.html").is_file() and _mark(record(place)) == _mark(found)


def _mark(found: Record) -> tuple[str, int]:
    """What identifies a run: its study and its seed."""
    return found["provenance"]["study"], found["provenance"]["seed"]


def _cells(whole: Collection, data_dir: Path | None) -> tuple[list[_Chosen], dict[str, str]]:
    """The studies of a collection, and why some of them cannot be run."""
    cache, each = Cache(), [(cell.preset, whole.settings + cell.settings) for cell in whole.cells]
    chosen = [_Chosen(load_study(*one), *one) for one in each]
    reasons = {preset: left_out(preset, data_dir, cache) for preset in dict(each)}
    missing = {
        one.study.name: reason for one in chosen if (reason := reasons[one.preset]) is not None
    }
    if len(missing) == len(chosen):
        raise InputError(
            f"none of the data sets of {whole.name} is available; 'brainleaks data fetch mnist' "
            "downloads one."
        )
    return chosen, missing


def _prepared(page: Path) -> Path:
    """The table's page, after a check, before hours of work, that it can be written."""
    docs, table = page.parent, page.with_suffix(".json")
    if docs.exists() and not docs.is_dir():
        raise InputError(f"{option('out')}: {docs} is a file; choose a folder for the table.")
    if table.exists() and "cells" not in atomic.read_json(table):
        raise InputError(
            f"{option('out')}: {table} is not a table of several seeds and would be overwritten; "
            "choose another folder."
        )
    probe = docs / ".brainleaks-probe"
    atomic.write_bytes(probe, b"")
    probe.unlink()
    return page


def _again(chosen: _Chosen, seed: int) -> str:
    """The command that runs one of the studies again."""
    options = [option for setting in chosen.settings for option in ("--set", setting)]
    return shlex.join(["brainleaks", "run", chosen.preset, *options, "--seed", str(seed)])
