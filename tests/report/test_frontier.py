"""The table of a sweep over defences, from runs whose numbers are made up."""

import json

import pytest

from brainleaks.report.defended import title
from brainleaks.report.frontier import frontier, write_frontier

STATUSES = ("yes", "no", "yes", "not tested")


def record(accuracy, tprs, likeness, defences=(), seed=0):
    return {
        "provenance": {
            "seed": seed,
            "command": "brainleaks run x",
            "machine": {"processor": "a processor", "threads": 1, "device": "cpu"},
            "versions": {"torch": "2"},
        },
        "results": {
            "preset": "x",
            "seed": seed,
            "target": {"test_accuracy": accuracy, "spikes": 1000.0},
            "defences": list(defences),
            "evidence": {
                "membership": {
                    "attacks": {
                        name: {"tpr_at_fpr": {"0.01": {"value": value}}, "auc": {"value": 0.7}}
                        for name, value in tprs.items()
                    },
                    "epsilon": {"low": 0.25},
                }
            },
            "likeness": {
                "inversion": {"metrics": {"blurred_correlation_members": {"value": likeness}}}
            },
            "verdict": {
                "levels": [{"level": i, "status": s} for i, s in enumerate(STATUSES, 1)],
            },
        },
    }


def defence(name, **settings):
    return {"name": name, "acts": "weights", "settings": settings}


PRIVATE = defence("dp-sgd", epsilon=2.0) | {"facts": {"epsilon": 1.99}}
RUNS = {
    "plain": [record(0.90, {"lira": 0.3, "loss": 0.1}, 0.9)],
    "pruned": [record(0.89, {"lira": 0.05, "loss": 0.1}, 0.9, [defence("pruning", share=0.5)])],
    "coarse": [record(0.89, {"lira": 0.2, "loss": 0.1}, 0.95, [defence("quantisation", bits=2)])],
    "private": [record(0.50, {"lira": 0.01, "loss": 0.02}, 0.2, [PRIVATE])],
}


def test_rows_have_the_strongest_attacks_and_what_is_optimal():
    found = frontier(RUNS)
    rows = {one["study"]: one for one in found["rows"]}
    assert rows["plain"]["attacks"] == {"membership": ["lira"], "inversion": ["inversion"]}
    assert rows["pruned"]["attacks"]["membership"] == ["loss"]
    assert rows["pruned"]["members"]["mean"] == 0.1
    assert {name: one["optimal"] for name, one in rows.items()} == {
        "plain": True,
        "pruned": True,
        "coarse": False,  # pruned has as much accuracy and leaks less
        "private": True,
    }
    assert found["cheapest"]["study"] == "pruned"
    assert rows["plain"]["levels"] == {level: [s] for level, s in enumerate(STATUSES, 1)}


def test_equal_rows_do_not_dominate_each_other():
    twins = {name: [record(0.9, {"lira": 0.3}, 0.9)] for name in ("one", "other")}
    assert [one["optimal"] for one in frontier(twins)["rows"]] == [True, True]


def test_with_few_samples_the_area_is_compared():
    few = record(0.9, {"a": 0.3}, 0.9)
    few["results"]["evidence"]["membership"]["attacks"]["a"]["tpr_at_fpr"] = {"0.1": {"value": 0.3}}
    found = frontier({"few": [few]})
    assert (found["measure"], found["rows"][0]["members"]["mean"]) == ("AUC", 0.7)


def test_means_over_seeds():
    two = {"plain": [record(0.9, {"a": 0.3}, 0.9), record(0.8, {"a": 0.1}, 0.7, seed=1)]}
    (row,) = frontier(two)["rows"]
    assert row["accuracy"]["mean"] == pytest.approx(0.85)
    assert row["members"]["values"] == [0.3, 0.1]
    assert row["seeds"] == [0, 1]


def test_the_page(tmp_path):
    page = tmp_path / "defences.md"
    write_frontier(
        RUNS, {"x": [*RUNS, "late"]}, left_out={"late": "not run yet"}, page=page,
        command="brainleaks run defences", title="Defences",
    )  # fmt: skip
    text = page.read_text()
    assert (
        "| ★ | pruning (share 0.5) | 0 | 0.890 | 1,000 | 0.100 | loss | 0.900 | yes | no |" in text
    )
    assert "|  | quantisation (bits 2) | 0 |" in text
    assert "| 0.25 | epsilon 1.99 |" in text
    assert "pruning (share 0.5): members found 0.100 instead of 0.300" in text
    assert "- late: not run yet" in text
    cells = json.loads(page.with_suffix(".json").read_text())["cells"]
    assert [cell["study"] for cell in cells] == list(RUNS)


def test_the_title_of_a_run_names_its_defences():
    assert title({"preset": "faces-snn"}) == "faces-snn"
    assert title(RUNS["private"][0]["results"]) == "x with dp-sgd (epsilon 2)"
