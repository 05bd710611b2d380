"""Several seeds of a study, and of the paper's: run, resumed, and put into a table."""

import json

import pytest
import torch

from brainleaks import InputError
from brainleaks.campaigns.collection import Cell, collection, left_out
from brainleaks.campaigns.publish import publish
from brainleaks.data import DATASETS, Dataset, Samples
from brainleaks.pipeline import Cache, run_study
from brainleaks.report.page import METRICS
from brainleaks.report.summary import interval
from brainleaks.studies import load_study

QUICK = (
    "target.network.hidden=60",
    "target.training.epochs=2",
    "evaluators.snn-conv.training.epochs=1",
    "draws=5",
    "judging=null",
    "subset={train: 300, test: 60}",
    "printed.attacks.brainleaks-v1={attack_accuracy: 0.123, top3_accuracy: 1, confidence: 1, "
    "daa: 1}",
)


@pytest.fixture
def runs(tmp_path):
    return {"runs": tmp_path / "runs", "command": "brainleaks run demo", "say": lambda text: None}


def test_table_of_two_seeds(runs, tmp_path, monkeypatch):
    """Every number of the runs where it belongs; and again, from what was stored."""
    table = publish("demo", range(2), settings=QUICK, **runs)
    assert table == tmp_path / "runs" / "demo-seeds" / "results.md"
    each = [
        json.loads((tmp_path / "runs" / f"demo-seed{seed}" / "results.json").read_text())
        for seed in (0, 1)
    ]
    (found,) = json.loads(table.with_suffix(".json").read_text())["cells"]
    assert found["seeds"] == [0, 1]
    assert found["target"]["test_accuracy"]["values"] == [
        r["target"]["test_accuracy"] for r in each
    ]
    for i, attack in enumerate(found["attacks"]):
        for key, entry in attack["metrics"].items():
            assert entry["values"] == [r["attacks"][i][key] for r in each]
    assert found["attacks"][0]["metrics"]["attack_accuracy"]["printed"] == 0.123
    text = table.read_text()
    accuracy = interval([r["target"]["test_accuracy"] for r in each])
    assert f"{accuracy['mean']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]" in text
    assert "--seed 0`, and with seeds 1; study" in text
    assert "`brainleaks run demo --set" in text
    assert (table.parent / "images" / "demo.png").stat().st_size > 1000
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", pytest.fail)
    assert publish("demo", range(2), settings=QUICK, **runs).read_text() == text


def test_what_the_table_has_is_kept(runs, tmp_path, monkeypatch):
    """A table that grows is the table that is made at once; another study is run anew."""
    settings = (*QUICK, "judging={judge_steps: 20, reconstructions: 1, controls: [noise]}")
    whole = publish("demo", range(2), settings=settings, **runs)
    text, content = whole.read_text(), json.loads(whole.with_suffix(".json").read_text())
    second = publish("demo", range(1, 2), settings=settings, out=tmp_path / "grown", **runs)
    fresh = {**runs, "runs": tmp_path / "elsewhere"}
    said = []
    grown = publish(
        "demo",
        range(2),
        settings=settings,
        out=second.parent,
        keep=True,
        **(fresh | {"say": said.append}),
    )
    assert grown.read_text() == text
    found = json.loads(grown.with_suffix(".json").read_text())
    assert found["cells"][0]["judgement"] == content["cells"][0]["judgement"]
    assert said == ["kept: demo, seed 1", f"finished: {tmp_path / 'elsewhere' / 'demo-seed0'}"]
    # nothing to run: nothing is read or trained
    monkeypatch.setattr("brainleaks.campaigns.publish.run_study", pytest.fail)
    again = {"out": second.parent, "keep": True, **fresh}
    picture = second.parent / "images" / "demo.png"
    picture.unlink()
    assert publish("demo", range(2), settings=settings, **again).read_text() == text
    assert picture.stat().st_size > 1000  # of the folder that the kept run has left
    with pytest.raises(TypeError):  # what the failing stand-in does not take
        publish("demo", range(2), settings=(*settings, "draws=6"), **again)


DRAWN = (
    "target.training.learning_rate=0.01",
    "printed.attacks.brainleaks-v2={attack_accuracy: 0.4, top3_accuracy: 1, confidence: 1, daa: 1, "
    "draws: {attack_accuracy: 0.461, attack_accuracy_std: 0.066, top3_accuracy: 0.911}}",
)


def test_spreads_over_draws_stand_beside_the_printed_ones(runs, tmp_path):
    text = publish("demo", range(2), settings=(*QUICK, *DRAWN), **runs).read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("| over 5 draws |"))
    each = [
        json.loads((tmp_path / "runs" / f"demo-seed{seed}" / "results.json").read_text())
        for seed in (0, 1)
    ]
    cells = line.split(" |")[1:5]
    printed = (" *0.461 ± 0.066*", " *0.911*", "", "")
    for key, cell, beside in zip(METRICS, cells, printed, strict=True):
        spread = sum(r["attacks"][1]["draws"]["std"][key] for r in each) / 2
        assert cell.endswith(f" ± {spread:.3f}{beside}")
    report = (tmp_path / "runs" / "demo-seed0" / "report.html").read_text()
    assert "0.461 ± 0.066 over draws" in report
    assert "0.911 over draws" in report


JUDGED = "judging={judge_steps: 60, reconstructions: 1}"


def test_judgement_of_two_seeds(runs, tmp_path):
    """Each class of each seed is a cluster; the verdict is read from all of them."""
    settings = (*QUICK, "subset={train: 300, test: 100}", JUDGED)
    table = publish("demo", range(2), settings=settings, **runs)
    each = [
        json.loads((tmp_path / "runs" / f"demo-seed{seed}" / "results.json").read_text())
        for seed in (0, 1)
    ]
    found = json.loads(table.with_suffix(".json").read_text())["cells"][0]["judgement"]
    assert found["verdicts"] == [r["verdict"]["verdict"] for r in each]
    assert found["verdict"]["sentence"] in table.read_text()
    entry = found["attacks"]["brainleaks-v1"]["attack"]["identification"]
    both = [r["likeness"]["brainleaks-v1"]["metrics"]["identification"]["by_class"] for r in each]
    assert entry["value"] == pytest.approx(sum(map(sum, both)) / 20)
    assert entry["low"] < entry["value"] < entry["high"]
    noise = found["attacks"]["brainleaks-v2"]["noise"]["identification"]["value"]
    assert "| brainleaks-v2 | noise |" in table.read_text()
    assert 0 <= noise <= 1


def test_cells_whose_data_is_absent_are_left_out(runs, tmp_path, monkeypatch):
    """The central figure takes the first of its presets that was run."""
    demo = Cell("demo", note="an exercise, not a result")
    cells = [demo, Cell("nmnist-snn"), Cell("mnist-ann")]
    whole = collection("paper")._replace(cells=cells, figure=[["mnist-ann", "demo"]])
    monkeypatch.setattr("brainleaks.campaigns.publish.collection", lambda name: whole)
    monkeypatch.setattr(
        "brainleaks.campaigns.publish.load_study",
        lambda name, settings=(): load_study(name, QUICK if name == "demo" else settings),
    )
    (tmp_path / "data").mkdir()
    said = []
    publish(
        "paper",
        range(1),
        data_dir=tmp_path / "data",
        out=tmp_path / "docs",
        **(runs | {"say": said.append}),
    )
    assert [text.partition(" is ")[0] for text in said[:2]] == [
        "left out: nmnist-snn: nmnist",
        "left out: mnist-ann: mnist",
    ]
    text = (tmp_path / "docs" / "results.md").read_text()
    assert "- nmnist-snn: nmnist is not in the data folder" in text
    assert text.count("| [demo](#demo) (*an exercise, not a result*) | brainleaks-v") == 2
    assert (tmp_path / "docs" / "images" / "paper.png").stat().st_size > 1000


def test_part_of_a_data_set_is_not_the_paper(tmp_path):
    assert left_out("demo", tmp_path, Cache()) is None
    for i in range(20):
        path = tmp_path / "nmnist" / ("Train", "Test")[i // 10] / f"{i % 10}" / f"{i + 1:05d}.bin"
        path.parent.mkdir(parents=True)
        events = ((x, 9, 0, 0, t) for t, x in enumerate((5, 6, 5, 6)))
        path.write_bytes(b"".join(map(bytes, events)))
    reason = left_out("nmnist-snn", tmp_path, Cache())
    assert reason == "only 10 + 10 of nmnist's 60,000 + 10,000 samples are there"


def test_a_preset_that_asks_for_part_of_the_data_is_run(tmp_path, monkeypatch):
    """What it asks for must be there, not the whole of it."""
    images, labels = torch.zeros(500, 1, 28, 28), torch.arange(500) % 10
    part, names = Samples(images, labels), tuple("0123456789")

    def loaded(study, base, cache):
        short = Samples(images[:400], labels[:400])
        return Dataset("mnist", part, short if "5000" in study.name else part, names)

    monkeypatch.setattr("brainleaks.campaigns.collection.load_dataset", loaded)
    monkeypatch.setattr(DATASETS["mnist"], "present", lambda base: True)
    assert left_out("mnist-500-ann-membership", tmp_path, Cache()) is None
    reason = left_out("mnist-5000-ann-membership", tmp_path, Cache())
    assert reason == "only 500 + 400 of mnist's 5,000 + 5,000 samples are there"


def test_a_table_that_was_cut_off_says_what_it_lacks(runs, tmp_path, monkeypatch):
    cells = [Cell("demo"), Cell("digits-events-snn")]
    whole = collection("paper")._replace(cells=cells, figure=[["demo"]])
    monkeypatch.setattr("brainleaks.campaigns.publish.collection", lambda name: whole)
    monkeypatch.setattr(
        "brainleaks.campaigns.publish.load_study",
        lambda name, settings=(): load_study(name, QUICK if name == "demo" else settings),
    )

    def cut_off(study, **how):
        if study.name != "demo":
            raise KeyboardInterrupt
        return run_study(study, **how)

    monkeypatch.setattr("brainleaks.campaigns.publish.run_study", cut_off)
    with pytest.raises(KeyboardInterrupt):
        publish("paper", range(1), out=tmp_path / "docs", **runs)
    text = (tmp_path / "docs" / "results.md").read_text()
    assert "- digits-events-snn: not run yet" in text
    assert "- demo:" not in text


def test_cells_with_a_prior_have_all_of_their_data(real_data):
    for cell in collection("prior").cells:
        assert left_out(cell.preset, real_data, Cache()) is None


def test_damaged_data_is_left_out_too(tmp_path):
    path = tmp_path / "nmnist" / "Train" / "3" / "00001.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"1234567")
    assert "7 bytes long; expected a multiple of 5" in left_out("nmnist-snn", tmp_path, Cache())


def test_other_files_are_not_overwritten(runs, tmp_path):
    """Before any work: the folder of a run, and a file."""
    one = tmp_path / "run"
    one.mkdir()
    (one / "results.json").write_text('{"preset": "demo"}')
    with pytest.raises(InputError, match=r"results.json is not a table of several seeds"):
        publish("demo", range(1), settings=QUICK, out=one, **runs)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file is a file; choose a folder for the table"):
        publish("demo", range(1), settings=QUICK, out=tmp_path / "file", **runs)
    assert not (tmp_path / "runs").exists()


def test_what_the_paper_refuses(runs, tmp_path):
    with pytest.raises(InputError, match="settings: paper has no fields"):
        publish("paper", range(1), settings=("draws=3",), **runs)
    with pytest.raises(InputError, match="none of the data sets of paper is available"):
        publish("paper", range(1), data_dir=tmp_path, **runs)


MEMBERS = (
    *QUICK[:3],
    "judging=null",
    "subset={train: 150, test: 90}",
    "attacks={loss-threshold: {attack: loss-threshold}, rmia: {attack: rmia}}",
    "membership={samples: 60, shadows: 4, draws: 1}",
)


def test_membership_of_two_seeds(runs, tmp_path):
    table = publish("demo", range(2), settings=MEMBERS, **runs)
    (cell,) = json.loads(table.with_suffix(".json").read_text())["cells"]
    each = [
        json.loads((tmp_path / "runs" / f"demo-seed{seed}" / "results.json").read_text())
        for seed in (0, 1)
    ]
    found = [results["evidence"]["membership"]["attacks"]["rmia"] for results in each]
    auc = cell["membership"]["attacks"]["rmia"]["auc"]
    assert auc["values"] == [entry["auc"]["value"] for entry in found]
    control = cell["membership"]["attacks"]["rmia"]["control"]
    assert control["values"] == [e["controls"]["other-target"]["value"] for e in found]
    assert cell["membership"]["answers"] == [
        results["verdict"]["levels"][2]["status"] for results in each
    ]
    assert "roc" not in cell["runs"][0]["results"]["evidence"]["membership"]["attacks"]["rmia"]
    text = table.read_text()
    assert f"| rmia | {auc['mean']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}] |" in text
    assert "strongest attack" in text
    assert not (table.parent / "images").exists()  # there is nothing to picture


def test_a_sweep_over_defences_and_what_of_it_is_kept(runs, tmp_path, monkeypatch):
    """Each setting is a study of its own, run by a command that anyone can type."""
    settings = (*QUICK, "judging={judge_steps: 20, reconstructions: 1, controls: [noise]}")
    swept = [
        Cell("demo", settings=(*settings, "name=demo-plain", MEMBERSHIP)),
        Cell("demo", settings=(*settings, "name=demo-top-1", MEMBERSHIP, TOP_1)),
    ]
    made = collection("defences")._replace(cells=swept)
    monkeypatch.setattr("brainleaks.campaigns.publish.collection", lambda name: made)
    how = {**runs, "out": tmp_path / "docs"}
    page = publish("defences", range(1), **how)
    assert page.name == "defences.md"
    content = json.loads(page.with_suffix(".json").read_text())
    plain, defended = content["tables"]["demo"]["rows"]
    assert (plain["defences"], defended["defences"]) == ("none", "top-1")
    assert content["tables"]["demo"]["measure"] == "AUC"
    assert defended["members"]["mean"] < 0.7
    assert "--set name=demo-top-1" in defended["command"]
    text, said = page.read_text(), []
    again = publish("defences", range(1), keep=True, **(how | {"say": said.append}))
    assert again.read_text() == text
    assert said == ["kept: demo-plain, seed 0", "kept: demo-top-1, seed 0"]


MEMBERSHIP = "attacks.loss={attack: loss-threshold}"
TOP_1 = "defences=[{name: top-1}]"
