"""Studies run over several seeds, and their table: how a result is published."""

import shlex
from collections.abc import Callable
from pathlib import Path

from brainleaks import atomic
from brainleaks.errors import InputError
from brainleaks.report import write_report
from brainleaks.report.summary import write_figure, write_summary
from brainleaks.study import Store, Study, folder, load_study, run_study
from brainleaks.study.collection import Collection, collection, left_out
from brainleaks.study.config import COLLECTIONS


def publish(
    name: str,
    seeds: range,
    *,
    settings: tuple[str, ...] = (),
    data_dir: Path | None = None,
    out: Path | None = None,
    runs: Path = Path("runs"),
    device: str = "cpu",
    command: str,
    say: Callable[[str], object],
) -> Path:
    """Run a study, or every cell of a collection whose data is at hand, with several seeds.

    All studies are run with one seed before the next. The table is written anew after each run, so
    that what was finished when the work was cut off is there to read.

    Args:
        name: a preset, a study file, or one of ``COLLECTIONS``, such as ``"paper"``.
        seeds: with which seeds.
        settings: changes of the study, as ``path.to.field=value``; a collection takes none.
        data_dir: folder to find data in.
        out: where the table, its JSON and ``images/`` go; by default ``docs`` for a collection,
            else ``runs/NAME-seeds``.
        runs: where the run folders go, each as ``NAME-seedN``; a collection's, which are judged
            otherwise, as ``COLLECTION/NAME-seedN``.
        device: ``"cpu"`` or ``"cuda"``.
        command: what was typed, for the table.
        say: is told which cells were left out and why, and which run is finished.

    Returns:
        The path of the table: ``results.md``, or as the collection names it.

    Raises:
        InputError: as :func:`brainleaks.study.run_study`, if no cell's data is at hand, or if the
            table would overwrite something else.
    """
    whole = collection(name) if name in COLLECTIONS else None
    missing: dict[str, str] = {}
    if whole is None:
        studies = [load_study(name, settings)]
        docs, places = out or runs / f"{studies[0].name}-seeds", runs
    else:
        if settings:
            raise InputError(f"--set: {name} has no fields of its own; set a preset's.")
        settings, docs, places = whole.settings, out or Path("docs"), runs / name
        studies, missing = _at_hand(whole, data_dir)
        for preset, reason in missing.items():
            say(f"left out: {preset}: {reason}")
    page = docs / f"{whole.page if whole else 'results'}.md"
    _prepare(page)
    finished: dict[str, list[Path]] = {}
    for seed in seeds:
        for study in studies:
            place = places / f"{study.name}-seed{seed}"
            folder.prepare(place, study, seed)
            outcome = run_study(
                study,
                seed=seed,
                data_dir=data_dir,
                device=device,
                command=_again(study.name if whole else name, settings, seed),
            )
            folder.write(outcome, place, write_report)
            finished.setdefault(study.name, []).append(place)
            say(f"finished: {place}")
            _write(finished, whole, missing, page, command)
    return page


def _at_hand(whole: Collection, data_dir: Path | None) -> tuple[list[Study], dict[str, str]]:
    """The studies whose data is at hand, and why the others are left out."""
    store = Store()
    reasons = {cell.preset: left_out(cell.preset, data_dir, store) for cell in whole.cells}
    studies = [load_study(p, whole.settings) for p, reason in reasons.items() if reason is None]
    if not studies:
        raise InputError(
            f"no data set of {whole.name} is at hand; 'brainleaks data fetch mnist' gets one."
        )
    return studies, {preset: reason for preset, reason in reasons.items() if reason is not None}


def _prepare(page: Path) -> None:
    """Make sure, before hours of work, that the table's place is ours to write."""
    docs, table = page.parent, page.with_suffix(".json")
    if docs.exists() and not docs.is_dir():
        raise InputError(f"--out: {docs} is a file; choose a folder for the table.")
    if table.exists() and "cells" not in atomic.read_json(table):
        raise InputError(
            f"--out: {table} is no table of several seeds, and would be overwritten; choose "
            "another folder."
        )
    probe = docs / ".brainleaks-probe"
    atomic.write_bytes(probe, b"")
    probe.unlink()


def _again(name: str, settings: tuple[str, ...], seed: int) -> str:
    """What to type to run one of the studies again."""
    options = [option for setting in settings for option in ("--set", setting)]
    return shlex.join(["brainleaks", "run", name, *options, "--seed", str(seed)])


def _write(
    finished: dict[str, list[Path]],
    whole: Collection | None,
    missing: dict[str, str],
    page: Path,
    command: str,
) -> None:
    cells = whole.cells if whole else []
    write_summary(
        finished,
        why={cell.preset: cell.why for cell in cells},
        notes={cell.preset: cell.note for cell in cells},
        left_out=missing,
        page=page,
        command=command,
        title=whole.title if whole else "Results",
    )
    rows = whole.figure if whole else []
    shown = [next((preset for preset in row if preset in finished), None) for row in rows]
    if whole and any(shown):
        first_runs = [finished[preset][0] for preset in shown if preset is not None]
        write_figure(first_runs, page.parent / "images" / whole.picture)
