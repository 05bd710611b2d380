"""Several runs on one page: what one leaks more than another, by paired statistics."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainleaks import atomic
from brainleaks.errors import InputError
from brainleaks.evaluation.statistics import CONFIDENCE, holm, interval, paired
from brainleaks.evaluation.verdict import DECISIVE
from brainleaks.report import charts
from brainleaks.report.measures import CORRELATION, IDENTIFICATION, PANEL, SSIM, SUMMARY
from brainleaks.report.page import STILLS, curves, encoded, matrices, measured, strip, strips_text
from brainleaks.report.pictures import Picture
from brainleaks.report.run import Run, read_run
from brainleaks.report.template import render

_COMPARED = (*DECISIVE, SSIM.key, CORRELATION.key)
_SIGNIFICANT = 0.05
_TITLES = {measure.key: measure.title for measure in SUMMARY}

#: One class in one run: its name and the run's seed.
Cluster = tuple[str, int]
Values = dict[Cluster, float | None]


@dataclass(frozen=True)
class Group:
    """Runs of one study with different seeds, whose classes are clusters of one sample."""

    label: str
    runs: list[Run]

    @property
    def seeds(self) -> list[int]:
        """In the order of the runs."""
        return [run.results["seed"] for run in self.runs]

    @property
    def attacks(self) -> list[str]:
        """Those that were judged by the panel."""
        return list(self.runs[0].results["likeness"])

    @cached_property
    def sound(self) -> set[str]:
        """The judges that count in each of the runs."""
        each = [{j["name"] for j in run.results["judges"] if j["counts"]} for run in self.runs]
        return set.intersection(*each)

    def values(self, attack: str, measure: str) -> Values:
        """One measure of one attack, by cluster; empty if it was not measured."""
        found: Values = {}
        for run in self.runs:
            metrics = run.results["likeness"][attack]["metrics"]
            if measure in metrics:
                by_class = metrics[measure]["by_class"]
                seed = run.results["seed"]
                found |= {
                    (name, seed): v for name, v in zip(run.class_names, by_class, strict=True)
                }
        return found


def write_comparison(folders: Sequence[Path], path: Path) -> dict[str, Any]:
    """Write one page about several runs.

    Args:
        folders: run folders; runs of one study with different seeds are pooled.
        path: of the page.

    Returns:
        What the page says, as JSON: ``dataset``, ``judges`` that count in every run, ``groups``
        with their runs, verdicts and metrics, ``statistics`` and ``sentences``.

    Raises:
        InputError: if there are fewer than two runs, one is not finished or was not judged by the
            panel, one is given twice, they are of different data sets, or the page cannot be
            written.
    """
    groups = _groups(folders)
    content = comparison(groups)
    page = render("compare.html.j2", **_content(groups, content))
    atomic.write_text(path, page)
    return content


def comparison(groups: list[Group]) -> dict[str, Any]:
    """What there is to say of several groups of runs, as JSON."""
    judges = sorted(set.intersection(*(group.sound for group in groups)))
    tests = list(_tests(groups, judges))
    corrected = holm([test["p"] for test in tests])
    tests = [{**test, "p_holm": p} for test, p in zip(tests, corrected, strict=True)]
    leaking = {
        f"{attack} on {group.label}"
        for group in groups
        for attack in group.attacks
        if all(run.results["verdict"]["verdict"] == "leak" for run in group.runs)
    }
    return {
        "dataset": groups[0].runs[0].results["dataset"]["name"],
        "judges": judges,
        "groups": [_group_facts(group, judges) for group in groups],
        "statistics": {
            "confidence": CONFIDENCE,
            "clusters": "classes and runs",
            "tests": tests,
        },
        "sentences": [_sentence(test, leaking) for test in tests if _tells(test)],
    }


def _groups(folders: Sequence[Path]) -> list[Group]:
    if len(folders) < 2:
        raise InputError(
            f"a comparison needs two runs; found {len(folders)}. Name two finished run folders."
        )
    runs = [_judged(read_run(folder)) for folder in folders]
    _check_data(runs)
    by_study: dict[str, list[Run]] = {}
    for run in runs:
        by_study.setdefault(_study(run), []).append(run)
    for same in by_study.values():
        _check_seeds(same)
    names = [same[0].results["preset"] for same in by_study.values()]
    places = _told_apart([same[0].folder for same in by_study.values()])
    return [
        Group(name if names.count(name) == 1 else f"{name} ({place})", same)
        for name, place, same in zip(names, places, by_study.values(), strict=True)
    ]


def _told_apart(folders: list[Path]) -> list[str]:
    """As few of the last parts of each path as tell all of them apart."""
    parts = [folder.resolve().parts for folder in folders]
    ends: list[str] = []
    for count in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(path[-count:]) for path in parts]
        if len(set(ends)) == len(ends):
            break
    return ends


def _judged(run: Run) -> Run:
    if not run.results["likeness"]:
        raise InputError(
            f"{run.folder} was not judged by the panel (judging: null), so that it cannot be "
            "compared; run its study with the panel."
        )
    return run


def _check_data(runs: list[Run]) -> None:
    first, *others = runs
    for run in others:
        one, other = (r.results["dataset"]["name"] for r in (first, run))
        if one != other:
            raise InputError(
                f"{first.folder} is of {one} and {run.folder} of {other}: their classes are not "
                "the same, so that no pairs can be formed; compare runs of one data set."
            )
        if len({*first.class_names} & {*run.class_names}) < 2:
            raise InputError(
                f"{first.folder} and {run.folder} share fewer than two classes, so that no pairs "
                "can be formed."
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
    """What determines a run but for its seed."""
    weights = run.results["target"].get("weights", {}).get("sha256", "")
    return f"{run.provenance['study']} {weights}"


def _tests(groups: list[Group], judges: list[str]) -> Iterator[dict[str, Any]]:
    """Paired differences between the attacks of each two groups."""
    for first, second in itertools.combinations(groups, 2):
        for a, b in _attack_pairs(first, second):
            for measure in _COMPARED:
                one, other = _paired_values(
                    _measured(first, a, measure, judges), _measured(second, b, measure, judges)
                )
                difference = paired(one, other) if one.size else None
                if difference is not None:
                    yield {
                        "metric": measure,
                        "first": f"{a} on {first.label}",
                        "second": f"{b} on {second.label}",
                        **difference,
                    }


def _attack_pairs(first: Group, second: Group) -> list[tuple[str, str]]:
    """The attacks that both have; without any, each of one with each of the other."""
    shared = [(name, name) for name in first.attacks if name in second.attacks]
    return shared or list(itertools.product(first.attacks, second.attacks))


def _measured(group: Group, attack: str, measure: str, judges: list[str]) -> Values:
    """As :meth:`Group.values`, but the panel is the mean of judges that count everywhere."""
    if measure != PANEL.key:
        return group.values(attack, measure)
    each = [group.values(attack, f"attack_accuracy:{judge}") for judge in judges]
    if not each:
        return {}
    return {cluster: float(_mean([values[cluster] for values in each])) for cluster in each[0]}


def _paired_values(first: Values, second: Values) -> tuple[NDArray[np.float64], ...]:
    """Both sides as tables of seeds and classes, or, if no seed is the same, means over seeds."""
    if not first.keys() & second.keys():
        first, second = _over_seeds(first), _over_seeds(second)
    shared = [cluster for cluster in first if cluster in second]
    return _table(first, shared), _table(second, shared)


def _table(values: Values, which: Collection[Cluster]) -> NDArray[np.float64]:
    """One row a seed, one column a class; NaN where nothing was measured."""
    names = dict.fromkeys(name for name, _ in which)
    seeds = dict.fromkeys(seed for _, seed in which)
    found = [[values.get((name, seed)) for name in names] for seed in seeds]
    return np.array([[np.nan if v is None else v for v in row] for row in found], np.float64)


def _over_seeds(values: Values) -> Values:
    names = dict.fromkeys(name for name, _ in values)
    return {
        (name, 0): float(_mean([v for (other, _), v in values.items() if other == name]))
        for name in names
    }


def _mean(values: Sequence[float | None]) -> np.floating[Any]:
    return np.mean([np.nan if value is None else value for value in values])


def _tells(test: dict[str, Any]) -> bool:
    """Whether a test shows that one side's reconstructions score higher."""
    return test["metric"] in DECISIVE and test["p_holm"] < _SIGNIFICANT


def _sentence(test: dict[str, Any], leaking: set[str]) -> str:
    """What a test says; without a verdict of a leak, a higher score is not more of one."""
    more, less, sign = ("first", "second", 1) if test["difference"] > 0 else ("second", "first", -1)
    does = "leaks more" if test[more] in leaking else "scores higher, without a verdict of a leak,"
    low, high = sorted((sign * test["low"], sign * test["high"]))
    effect = "" if test["effect"] is None else f", effect d = {abs(test['effect']):.2f}"
    probability = "p < 0.001" if test["p_holm"] < 0.001 else f"p = {test['p_holm']:.3f}"
    return (
        f"{test[more]} {does} than {test[less]}: {_TITLES[test['metric']].lower()} is "
        f"{abs(test['difference']):.3f} higher (interval {low:.3f} to {high:.3f}, "
        f"{probability} after Holm{effect})."
    )


def _group_facts(group: Group, judges: list[str]) -> dict[str, Any]:
    return {
        "label": group.label,
        "runs": [str(run.folder) for run in group.runs],
        "seeds": group.seeds,
        "verdicts": [run.results["verdict"] for run in group.runs],
        "attacks": {
            attack: {
                measure.key: _pooled(_measured(group, attack, measure.key, judges))
                for measure in SUMMARY
                if _measured(group, attack, measure.key, judges)
            }
            for attack in group.attacks
        },
    }


def _pooled(values: Values) -> dict[str, Any]:
    return {**interval(_table(values, values.keys())), "by_class": list(values.values())}


def _content(groups: list[Group], said: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {"name": attack, "of": facts["label"], "metrics": metrics}
        for facts in said["groups"]
        for attack, metrics in facts["attacks"].items()
    ]
    return {
        "said": said,
        "groups": groups,
        "rows": rows,
        "measures": measured([row["metrics"] for row in rows]),
        "titles": _TITLES,
        "classes": _classes(groups),
        "distributions": _distributions(rows),
        "matrices": [
            {"title": f"{group.label}: {found['title']}", "chart": found["chart"]}
            for group in groups
            for found in matrices(group.runs[0])
        ],
        "curves": {
            f"{group.label}: {title}": drawn
            for group in groups
            for title, drawn in curves(group.runs[0]).items()
        },
        "version": groups[0].runs[0].provenance["versions"]["brainleaks"],
    }


def _distributions(rows: list[dict[str, Any]]) -> list[Any]:
    drawn = []
    for measure in (PANEL, IDENTIFICATION, CORRELATION, SSIM):
        lines = [
            strip(f"{row['name']} on {row['of']}", "attack", row["metrics"][measure.key])
            for row in rows
            if measure.key in row["metrics"]
        ]
        if lines:
            drawn.append(
                charts.strips(
                    lines,
                    axis=measure.title,
                    name=f"compared-{measure.key}",
                    text=strips_text(measure.title, lines),
                )
            )
    return drawn


def _classes(groups: list[Group]) -> list[dict[str, Any]]:
    """For each class that all have, what each group's first run made of it."""
    runs = {group.label: group.runs[0] for group in groups}
    first = groups[0].runs[0]
    rows: dict[str, tuple[Run, list[Picture]]] = {}
    if (nearest := f"{first.leading_attack}.nearest") in first.evidence:
        rows["nearest training sample"] = first, first.evidence[nearest]
    for label, run in runs.items():
        attack = run.leading_attack
        rows[f"{attack} on {label}"] = run, run.rates(run.reconstruction(attack))
    uris = encoded({label: pictures for label, (_, pictures) in rows.items()}, STILLS)
    return [
        {
            "name": name,
            "pictures": {
                label: uris[label][run.class_names.index(name)] for label, (run, _) in rows.items()
            },
        }
        for name in first.class_names
        if all(name in run.class_names for run in runs.values())
    ]
