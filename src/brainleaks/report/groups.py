"""Runs to be compared: those of one study with different seeds are one group."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainleaks.errors import InputError
from brainleaks.evaluation.statistics import interval
from brainleaks.report.defended import title
from brainleaks.report.metrics import PANEL
from brainleaks.report.run import Run, read_run

#: One class in one run: its name and the run's seed.
Cluster = tuple[str, int]
Values = dict[Cluster, float | None]


@dataclass(frozen=True)
class Group:
    """Runs of one study with different seeds, whose classes are clusters of one sample."""

    label: str
    runs: list[Run]

    @property
    def first(self) -> Run:
        """Whose pictures are shown."""
        return self.runs[0]

    @property
    def seeds(self) -> list[int]:
        """In the order of the runs."""
        return [run.results["seed"] for run in self.runs]

    @property
    def attacks(self) -> list[str]:
        """Those that were judged by the panel."""
        return list(self.first.results["likeness"])

    def controls(self, attack: str) -> dict[str, bool]:
        """An attack's controls, each with whether it is a negative one."""
        return {
            entry["control"]: entry["negative"]
            for entry in self.first.results["controls"]
            if entry["attack"] == attack
        }

    @cached_property
    def sound(self) -> set[str]:
        """The judges that count in each of the runs."""
        each = [{j["name"] for j in run.results["judges"] if j["counts"]} for run in self.runs]
        return set.intersection(*each)

    def values(self, measure: str, attack: str, control: str | None = None) -> Values:
        """One measure of an attack or of its control, by cluster; empty if it was not measured."""
        found: Values = {}
        for run in self.runs:
            metrics = run.metrics(attack, control)
            if measure in metrics:
                by_class = metrics[measure]["by_class"]
                seed = run.results["seed"]
                found |= {
                    (name, seed): v for name, v in zip(run.class_names, by_class, strict=True)
                }
        return found


def read_groups(folders: Sequence[Path]) -> list[Group]:
    """Read runs, in the order of their folders.

    Raises:
        InputError: if there are fewer than two, one is not finished or was not judged by the panel,
            one is given twice, or they are of different data sets.
    """
    if len(folders) < 2:
        raise InputError(
            f"a comparison needs at least two runs; found {len(folders)}. Name two or more run "
            "folders."
        )
    runs = [_judged(read_run(folder)) for folder in folders]
    _check_data(runs)
    by_study: dict[str, list[Run]] = {}
    for run in runs:
        by_study.setdefault(_study(run), []).append(run)
    for same in by_study.values():
        _check_seeds(same)
    names = [title(same[0].results) for same in by_study.values()]
    places = _told_apart([same[0].folder for same in by_study.values()])
    return [
        Group(name if names.count(name) == 1 else f"{name} ({place})", same)
        for name, place, same in zip(names, places, by_study.values(), strict=True)
    ]


def _told_apart(folders: list[Path]) -> list[str]:
    """The shortest ends of the paths that distinguish all of them."""
    parts = [folder.resolve().parts for folder in folders]
    ends: list[str] = []
    for count in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(path[-count:]) for path in parts]
        if len(set(ends)) == len(ends):
            break
    return ends


def _judged(run: Run) -> Run:
    if not run.attacks:
        raise InputError(f"{run.folder} has no class reconstructions to compare.")
    if not run.results["likeness"]:
        raise InputError(
            f"{run.folder} was not evaluated by the panel (judging: null) and cannot be compared; "
            "run its study with the panel."
        )
    return run


def _check_data(runs: list[Run]) -> None:
    first, *others = runs
    for run in others:
        one, other = (r.results["dataset"]["name"] for r in (first, run))
        if one != other:
            raise InputError(
                f"{first.folder} is of {one} and {run.folder} of {other}: only runs with the same "
                "classes can be compared."
            )
        if len({*first.class_names} & {*run.class_names}) < 2:
            raise InputError(
                f"{first.folder} and {run.folder} share fewer than two classes and cannot be "
                "compared."
            )


def _check_seeds(runs: list[Run]) -> None:
    seen: dict[int, Path] = {}
    for run in runs:
        seed = run.results["seed"]
        if seed in seen:
            raise InputError(
                f"{seen[seed]} and {run.folder} are the same run (study and seed {seed}); name "
                "each once."
            )
        seen[seed] = run.folder


def _study(run: Run) -> str:
    """What determines a run, except its seed."""
    weights = run.results["target"].get("weights", {}).get("sha256", "")
    return f"{run.provenance['study']} {weights}"


def measured(
    group: Group, measure: str, judges: list[str], attack: str, control: str | None = None
) -> Values:
    """As :meth:`Group.values`, but the panel is the mean of these judges."""
    if measure != PANEL.key:
        return group.values(measure, attack, control)
    each = [group.values(f"attack_accuracy:{judge}", attack, control) for judge in judges]
    if not each:
        return {}
    return {cluster: float(_mean([values[cluster] for values in each])) for cluster in each[0]}


def pooled(values: Values) -> dict[str, Any]:
    """The interval of all clusters, and ``by_class``, each class's mean over runs."""
    clusters, classes = (table(found, found) for found in (values, over_seeds(values)))
    by_class = [None if np.isnan(value) else float(value) for value in classes[0]]
    return {**interval(clusters), "by_class": by_class}


def table(values: Values, which: Collection[Cluster]) -> NDArray[np.float64]:
    """One row a seed, one column a class; NaN where nothing was measured."""
    names = dict.fromkeys(name for name, _ in which)
    seeds = dict.fromkeys(seed for _, seed in which)
    found = [[values.get((name, seed)) for name in names] for seed in seeds]
    return np.array([[np.nan if v is None else v for v in row] for row in found], np.float64)


def over_seeds(values: Values) -> Values:
    """Each class's mean over runs, as if of one run."""
    names = dict.fromkeys(name for name, _ in values)
    return {
        (name, 0): float(_mean([v for (other, _), v in values.items() if other == name]))
        for name in names
    }


def _mean(values: Sequence[float | None]) -> np.floating[Any]:
    return np.mean([np.nan if value is None else value for value in values])
