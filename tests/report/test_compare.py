"""Comparing runs: what is paired with what, what is said, and what is refused."""

import json
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from brainleaks import InputError
from brainleaks.cli import cli
from brainleaks.files import atomic
from brainleaks.report import write_comparison
from brainleaks.runs import seal

CLASSES = list("abcdefghij")


@pytest.fixture
def altered(run, tmp_path):
    """Copies of a run under other names, with other seeds, studies and scores."""

    def copy(
        label, *, seed=0, study="one", scores=None, judges=("nearest",), verdict="leak", **dataset
    ):
        folder = tmp_path / label
        shutil.copytree(run, folder)
        results = atomic.read_json(folder / "results.json")
        results |= {"seed": seed, "preset": study}
        results["dataset"] |= {"class_names": CLASSES, **dataset}
        results["verdict"]["verdict"] = verdict
        for judge in results["judges"]:
            judge["counts"] = judge["name"] in judges
        if scores is not None:
            for found in results["likeness"].values():
                for metric in found["metrics"].values():
                    metric["by_class"] = list(scores)
        atomic.write_json(folder / "results.json", results)
        provenance = atomic.read_json(folder / "provenance.json")
        atomic.write_json(folder / "provenance.json", provenance | {"study": study})
        seal(folder)
        return folder

    return copy


def difference(said, metric, attack="brainleaks-v1"):
    (found,) = (
        t
        for t in said["statistics"]["tests"]
        if t["metric"] == metric and t["first"].startswith(attack)
    )
    return found


HIGH = np.linspace(0.7, 0.97, 10)
LOW = HIGH - np.array([0.2, 0.3, 0.4, 0.5, 0.2, 0.3, 0.4, 0.5, 0.6, 0.1])


def test_pairs_classes(altered, tmp_path):
    one = altered("one", scores=HIGH)
    two = altered("two", study="two", scores=LOW)
    said = write_comparison([one, two], tmp_path / "page.html")
    found = difference(said, "identification")
    assert found["first"] == "brainleaks-v1 on one"
    assert found["difference"] == pytest.approx(0.35)
    assert found["classes"] == 10
    exact = stats.permutation_test((HIGH - LOW,), np.mean, permutation_type="samples")
    assert found["p"] == pytest.approx(exact.pvalue)
    assert found["effect"] == pytest.approx(0.35 / np.std(HIGH - LOW, ddof=1))
    assert any("on one leaks more than brainleaks-v1 on two" in s for s in said["sentences"])
    assert "0.350 higher" in (tmp_path / "page.html").read_text()


def test_pairs_by_name_not_by_place(altered, tmp_path):
    """The same scores in another order of the classes differ in nothing."""
    order = np.random.default_rng(0).permutation(10)
    names = [CLASSES[i] for i in order]
    one = altered("one", scores=HIGH)
    two = altered("two", study="two", scores=HIGH[order], class_names=names)
    said = write_comparison([one, two], tmp_path / "page.html")
    assert {t["difference"] for t in said["statistics"]["tests"]} == {0}
    assert said["sentences"] == []
    assert "No significant difference" in (tmp_path / "page.html").read_text()


def test_seeds_are_drawn_anew_as_classes_are(altered, tmp_path):
    runs = [
        altered(f"{study}-{seed}", study=study, seed=seed, scores=scores + seed / 100)
        for study, scores in (("one", HIGH), ("two", LOW))
        for seed in (0, 1)
    ]
    said = write_comparison(runs, tmp_path / "page.html")
    assert [group["seeds"] for group in said["groups"]] == [[0, 1], [0, 1]]
    found = difference(said, "ssim_members")
    assert found["classes"] == 10
    assert found["difference"] == pytest.approx(0.35)
    pooled = said["groups"][0]["attacks"]["brainleaks-v1"]["ssim_members"]
    assert pooled["value"] == pytest.approx(HIGH.mean() + 0.005)


def test_higher_scores_without_a_leak_are_no_more_of_one(altered, tmp_path):
    one = altered("one", scores=HIGH, verdict="inconclusive")
    two = altered("two", study="two", scores=LOW)
    said = write_comparison([one, two], tmp_path / "page.html")
    assert any(
        "on one scores higher, without a verdict of a leak, than" in s for s in said["sentences"]
    )
    assert not any("leaks more" in s for s in said["sentences"])


def test_other_seeds_are_paired_by_class(altered, tmp_path):
    one = altered("one", scores=HIGH)
    two = [altered(f"two-{s}", study="two", seed=s, scores=LOW + s / 10 - 0.15) for s in (1, 2)]
    found = difference(write_comparison([one, *two], tmp_path / "page.html"), "identification")
    assert found["classes"] == 10
    assert found["difference"] == pytest.approx(0.35)


def test_the_panel_is_of_judges_that_count_everywhere(altered, tmp_path):
    one = altered("one", scores=HIGH, judges=("nearest", "ann-conv"))
    two = altered("two", study="two", scores=LOW, judges=("nearest", "snn-conv"))
    assert write_comparison([one, two], tmp_path / "page.html")["judges"] == ["nearest"]
    three = altered("three", study="three", scores=LOW, judges=())
    said = write_comparison([one, three], tmp_path / "page.html")
    assert "panel" not in {t["metric"] for t in said["statistics"]["tests"]}


def test_runs_of_one_study_alone_are_pooled(altered, tmp_path):
    said = write_comparison([altered("a"), altered("b", seed=1)], tmp_path / "page.html")
    assert len(said["groups"]) == 1
    assert said["statistics"]["tests"] == []


def test_one_study_on_other_weights_is_another(altered, tmp_path):
    """As defended against not; and what charts refer to stays their own."""
    folders = [altered("plain"), altered("defended")]
    results, provenance = (folders[1] / f"{name}.json" for name in ("results", "provenance"))
    changed = atomic.read_json(results)
    changed["target"]["weights"] = {"file": "w", "sha256": "0" * 64}
    atomic.write_json(results, changed)
    kept = atomic.read_json(provenance)
    atomic.write_json(provenance, kept | {"weights": kept["weights"] | {"target": "0" * 64}})
    seal(folders[1])
    said = write_comparison(folders, tmp_path / "page.html")
    assert [group["label"] for group in said["groups"]] == ["one (plain)", "one (defended)"]
    ids = re.findall(r' id="([^"]+)"', (tmp_path / "page.html").read_text())
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "att-faces"}, "only runs with the same classes"),
        ({"class_names": list("0123456789")}, "share fewer than two classes"),
    ],
)
def test_refuses_other_data(altered, tmp_path, change, sentence):
    with pytest.raises(InputError, match=sentence):
        write_comparison([altered("x"), altered("y", study="two", **change)], tmp_path / "page")


def test_refuses_what_cannot_be_compared(run, protocol_run, tmp_path):
    with pytest.raises(InputError, match="needs at least two runs; found 1"):
        write_comparison([run], tmp_path / "page.html")
    with pytest.raises(InputError, match="are the same run"):
        write_comparison([run, run], tmp_path / "page.html")
    with pytest.raises(InputError, match="not evaluated by the panel"):
        write_comparison([run, protocol_run], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_controls_and_held_out_data_are_pooled_as_attacks_are(run, altered, tmp_path):
    runs = [altered("a", scores=HIGH), altered("b", seed=1, scores=LOW), altered("c", study="two")]
    facts = write_comparison(runs, tmp_path / "page.html")["groups"][0]
    stored = [atomic.read_json(folder / "results.json")["controls"] for folder in runs[:2]]
    assert [(c["attack"], c["control"], c["negative"]) for c in facts["controls"]] == [
        (c["attack"], c["control"], c["negative"]) for c in stored[0]
    ]
    for control, *each in zip(facts["controls"], *stored, strict=True):
        values = np.array([c["metrics"]["identification"]["by_class"] for c in each])
        found = control["metrics"]["identification"]
        assert found["value"] == pytest.approx(values.mean())
        assert found["by_class"] == pytest.approx(values.mean(0))
    found = facts["attacks"]["brainleaks-v2"]["feature_distance_held_out"]
    assert found["by_class"] == pytest.approx((HIGH + LOW) / 2)


def test_the_panel_of_a_control_is_of_the_same_judges(altered, tmp_path):
    one, two = altered("one"), altered("two", study="two", judges=("nearest", "ann-conv"))
    facts = write_comparison([one, two], tmp_path / "page.html")["groups"][1]["controls"][0]
    stored = atomic.read_json(two / "results.json")["controls"][0]["metrics"]
    expected = stored["attack_accuracy:nearest"]["value"]
    assert facts["metrics"]["panel"]["value"] == pytest.approx(expected)


def test_many_classes_of_several_studies_stay_under_five_megabytes(
    run, events_run, widened, renamed, tmp_path
):
    faces = widened(run, tmp_path / "faces", classes=40, shape=(1, 112, 92), steps=2)
    clips = widened(events_run, tmp_path / "clips", classes=11, shape=(1, 128, 128), steps=60)
    for one, others in (faces, "abc"), (clips, "a"):
        folders = [one, *(renamed(one, tmp_path / f"{one.name}-{o}", o) for o in others)]
        write_comparison(folders, tmp_path / "page.html")
        assert 1_000_000 < (tmp_path / "page.html").stat().st_size < 5_000_000


def test_command(run, narrow_run, tmp_path):
    out = tmp_path / "page.html"
    words = ["compare", str(run), str(narrow_run), "--out", str(out)]
    printed = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False).stdout
    said = json.loads(printed)
    assert [group["label"] for group in said["groups"]] == ["demo (demo)", "demo (narrow)"]
    assert out.read_text().startswith("<!doctype html>")
    text = CliRunner().invoke(cli, words, catch_exceptions=False).stdout
    assert text.endswith(f"comparison: {out}\n")
