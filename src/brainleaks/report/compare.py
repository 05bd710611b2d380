"""The comparison page: several runs, and which of them leaks more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from brainleaks.evaluation.statistics import CONFIDENCE
from brainleaks.files import atomic
from brainleaks.report.charts import curves, distribution, distributions, matrices, sides, word
from brainleaks.report.defended import utility
from brainleaks.report.gallery import STILLS, encoded, gallery, shown
from brainleaks.report.groups import Group, measured, pooled, read_groups
from brainleaks.report.levels import by_level, differing
from brainleaks.report.metrics import (
    CORRELATION,
    HELD_OUT,
    IDENTIFICATION,
    MEMBERS,
    PANEL,
    PROTOCOL,
    SIDES,
    SSIM,
    SUMMARY,
)
from brainleaks.report.paired import TITLES, sentences, tests
from brainleaks.report.player import RECORDINGS, Film, Recording, filmed, recordings
from brainleaks.report.run import Run, Values
from brainleaks.report.tables import Row, attack_rows, shown_measures
from brainleaks.report.template import render

#: Characters of a page without its pictures.
_MOST = 4_600_000
_SAID = tuple(
    dict.fromkeys(
        [m.key for m in SUMMARY] + [f"{s[0]}_{side}" for s in SIDES for side in (MEMBERS, HELD_OUT)]
    )
)


def write_comparison(folders: Sequence[Path], path: Path) -> dict[str, Any]:
    """Write one page about several runs.

    Args:
        folders: run folders; runs of one study with different seeds are pooled.
        path: of the page.

    Returns:
        What the page says, as JSON: ``dataset``, ``judges`` that count in every run, ``levels`` of
        the verdict with each group's answers, ``utility`` of each group's targets, ``groups``
        with their runs, verdicts and metrics, of attacks and of controls, ``statistics`` and
        ``sentences``.

    Raises:
        InputError: if there are fewer than two runs, one is not finished or was not judged by the
            panel, one is given twice, they are of different data sets, or the page cannot be
            written.
    """
    groups = read_groups(folders)
    content = comparison(groups)
    atomic.write_text(path, _page(groups, content))
    return content


def comparison(groups: list[Group]) -> dict[str, Any]:
    """What there is to say of several groups of runs, as JSON."""
    judges = sorted(set.intersection(*(group.sound for group in groups)))
    found = tests(groups, judges)
    return {
        "dataset": groups[0].first.results["dataset"]["name"],
        "judges": judges,
        "levels": by_level(groups),
        "utility": {g.label: utility([run.results for run in g.runs]) for g in groups},
        "groups": [_facts(group, judges) for group in groups],
        "statistics": {
            "confidence": CONFIDENCE,
            "clusters": "classes and runs",
            "tests": found,
        },
        "sentences": [*differing(groups), *sentences(groups, found)],
    }


def _facts(group: Group, judges: list[str]) -> dict[str, Any]:
    return {
        "label": group.label,
        "runs": [str(run.folder) for run in group.runs],
        "seeds": group.seeds,
        "verdicts": [run.results["verdict"] for run in group.runs],
        "attacks": {attack: _metrics(group, judges, attack) for attack in group.attacks},
        "controls": [
            {
                "attack": attack,
                "control": control,
                "negative": negative,
                "metrics": _metrics(group, judges, attack, control),
            }
            for attack in group.attacks
            for control, negative in group.controls(attack).items()
        ],
    }


def _metrics(
    group: Group, judges: list[str], attack: str, control: str | None = None
) -> dict[str, Any]:
    values = {key: measured(group, key, judges, attack, control) for key in _SAID}
    return {key: pooled(found) for key, found in values.items() if found}


def _page(groups: list[Group], said: dict[str, Any]) -> str:
    """The page, whose pictures and recordings share what its charts and tables leave."""
    content = _content(groups, said)
    bare = len(render("compare.html.j2", **content, galleries=[], players=[]))
    share = min(1.0, (_MOST - bare) / (STILLS + RECORDINGS))
    names = _shared_classes(groups)
    return render(
        "compare.html.j2",
        **content,
        galleries=_galleries(groups, names, round(share * STILLS)),
        players=_players(groups, names, round(share * RECORDINGS)),
    )


def _content(groups: list[Group], said: dict[str, Any]) -> dict[str, Any]:
    """All of the page but its pictures and recordings."""
    rows = [attack_rows(facts["attacks"], facts["controls"]) for facts in said["groups"]]
    return {
        "said": said,
        "groups": groups,
        "rows": [
            {"study": group.label, **row}
            for group, some in zip(groups, rows, strict=True)
            for row in some
        ],
        "measures": shown_measures(row for some in rows for row in some),
        "titles": TITLES,
        "protocol": PROTOCOL,
        "runs": [
            {"label": f"{group.label}, seed {run.results['seed']}", "results": run.results}
            for group in groups
            for run in group.runs
        ],
        "timed": any(group.first.frame_us is not None for group in groups),
        "overview": _overview(groups, rows),
        "distributions": {
            group.label: distributions(some, word(group.first))
            for group, some in zip(groups, rows, strict=True)
        },
        "sides": {
            f"{attack} on {group.label}": sides(
                f"{attack} on {group.label}", metrics, f"{word(group.first)}-{attack}"
            )
            for group, facts in zip(groups, said["groups"], strict=True)
            for attack, metrics in facts["attacks"].items()
        },
        "matrices": [
            {"title": f"{group.label}: {found['title']}", "chart": found["chart"]}
            for group in groups
            for found in matrices(group.first)
        ],
        "curves": {
            f"{group.label}: {title}": drawn
            for group in groups
            for title, drawn in curves(group.first).items()
        },
        "version": groups[0].first.provenance["versions"]["brainleaks"],
    }


def _overview(groups: list[Group], rows: list[list[Row]]) -> list[Markup]:
    """Each attack on each group beside its strongest control, one measure a chart."""
    lines = [line for group, some in zip(groups, rows, strict=True) for line in _lines(group, some)]
    return [
        distribution(
            [(label, row) for label, row in lines if measure.key in row["metrics"]],
            measure,
            f"overview-{measure.key}",
        )
        for measure in (PANEL, IDENTIFICATION, CORRELATION, SSIM)
        if any(measure.key in row["metrics"] for _, row in lines)
    ]


def _lines(group: Group, rows: list[Row]) -> list[tuple[str, Row]]:
    """A group's attacks, and under each the control that its first run names the strongest."""
    strongest = {
        attack: found["strongest_control"]
        for attack, found in group.first.results["likeness"].items()
    }
    return [
        (f"{row['name']}\non {group.label}" if row["role"] == "attack" else row["name"], row)
        for row in rows
        if row["role"] == "attack" or row["name"] == strongest[row["of"]]
    ]


def _shared_classes(groups: list[Group]) -> list[str]:
    """The classes that all have, in the order of the first."""
    each = [group.first.class_names for group in groups]
    return [name for name in each[0] if all(name in names for names in each)]


def _galleries(groups: list[Group], names: list[str], budget: int) -> list[dict[str, Any]]:
    """What the leading attack on each made, and then each of the other attacks."""
    rows = {(group.label, key): row for group in groups for key, row in shown(group.first).items()}
    uris = encoded(rows, budget)
    made = {
        (group.label, attack): gallery(
            group.first,
            attack,
            {key: row for (label, key), row in uris.items() if label == group.label},
        )
        for group in groups
        for attack in group.first.attacks
    }
    leading = [(group.label, group.first.leading_attack) for group in groups]
    others = [key for key in made if key not in leading]
    titles = dict.fromkeys(attack for _, attack in others)
    parts = {"": leading} | {title: [k for k in others if k[1] == title] for title in titles}
    return [
        {"title": title, "classes": _cards({key: made[key] for key in keys}, names)}
        for title, keys in parts.items()
    ]


def _cards(made: dict[tuple[str, str], dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """For each class, what each attack made of it."""
    by_name = {
        f"{attack} on {label}": {found["name"]: found for found in one["classes"]}
        for (label, attack), one in made.items()
    }
    return [
        {"name": name, "made": {title: found[name] for title, found in by_name.items()}}
        for name in names
    ]


def _players(groups: list[Group], names: list[str], budget: int) -> list[dict[str, Any]]:
    """A player of all recordings whose frames are equally long."""
    by_length: dict[int, list[Group]] = {}
    for group in groups:
        if group.first.frame_us is not None:
            by_length.setdefault(group.first.frame_us, []).append(group)
    return [
        recordings(_film(some, names, frame_us), names, budget // len(by_length))
        for frame_us, some in by_length.items()
    ]


def _film(groups: list[Group], names: list[str], frame_us: int) -> Film:
    def of_shared(run: Run, values: Values) -> list[Recording]:
        each = filmed(run, values)
        return [each[run.class_names.index(name)] for name in names]

    made = {
        f"{attack} on {group.label}": of_shared(group.first, group.first.reconstruction(attack))
        for group in groups
        for attack in group.first.attacks
    }
    first = groups[0].first
    return Film(of_shared(first, first.truth), made, frame_us)
