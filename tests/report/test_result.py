"""A finished run in Python: its tables, figures and what a notebook shows of it."""

import gc
import io
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import brainleaks
from brainleaks import InputError, Result
from brainleaks.files import atomic
from brainleaks.pipeline import Cache, run_study
from brainleaks.runs import seal
from brainleaks.studies import load_study

ODD = ["<script>alert(1)</script>", "$x^$", '" onload="alert(1)', "\x1b[2Jgone", "a\u202egnp.exe"]


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def result(run):
    return brainleaks.load(run)


def test_it_says_in_a_line_what_it_is(result):
    assert repr(result).startswith("<Result demo, seed 0: ")
    assert len(repr(result)) < 120
    assert result.verdict["sentence"].startswith(repr(result)[22:-1])


def test_its_numbers_are_those_of_the_run_folder(run, result):
    results = atomic.read_json(run / "results.json")
    assert result.results == results
    assert result.study.name == "demo"
    levels = result.to_frame("levels")
    assert levels["status"].tolist() == [r["status"] for r in results["verdict"]["levels"]]
    attacks = result.to_frame()
    rows = attacks[(attacks["attack"] == "brainleaks-v2") & (attacks["measure"] == "panel")]
    own = rows[rows["role"] == "attack"].iloc[0]
    expected = results["likeness"]["brainleaks-v2"]["metrics"]["panel"]
    assert (own["value"], own["low"], own["high"]) == tuple(
        expected[key] for key in ("value", "low", "high")
    )
    named = {c["control"] for c in results["controls"]}
    assert set(rows["name"]) == named | {"brainleaks-v2"}
    classes = result.to_frame("classes")
    rows = classes[(classes["name"] == "brainleaks-v2") & (classes["measure"] == "panel")]
    assert rows["value"].tolist() == expected["by_class"]
    assert rows["class"].tolist() == results["dataset"]["class_names"]
    with pytest.raises(InputError, match=r"^table='class': unknown; expected one of attacks, cla"):
        result.to_frame("class")


def test_without_pandas_it_says_how_to_get_it(result, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'brainleaks\[pandas\]'"):
        result.to_frame()


def test_a_notebook_shows_verdict_levels_pictures_and_attacks(result):
    page = Tags(result._repr_html_())
    verdict = result.verdict
    assert verdict["sentence"] in page.text
    assert all(rung["name"] in page.text for rung in verdict["levels"])
    assert page.tags.count("img") == 3 * 10
    assert "negative control: noise" in page.text
    assert not {"script", "style", "iframe", "link"} & set(page.tags)
    assert all(v.startswith("data:image/") for n, v in page.attributes if n in ("src", "href"))


def test_names_of_strangers_are_text(run, tmp_path):
    """In the output of a cell, in a figure, and in the line."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    results = atomic.read_json(copy / "results.json")
    results["dataset"]["class_names"][: len(ODD)] = ODD
    results["dataset"]["name"] = results["preset"] = ODD[0]
    results["description"] = results["verdict"]["sentence"] = f"{ODD[0]}{ODD[3]}"
    results["failures"] = [{"part": ODD[0], "name": ODD[2], "why": ODD[4]}]
    atomic.write_json(copy / "results.json", results)
    seal(copy)
    found = brainleaks.load(copy)
    html = found._repr_html_()
    page = Tags(html)
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not {"\x1b", "\u202e"} & (set(html) | set(repr(found)))
    assert ODD[0] in page.text
    found.plot().savefig(io.BytesIO())


def test_a_figure_of_every_class(result):
    figure = result.plot()
    buffer = io.BytesIO()
    figure.savefig(buffer)
    pixels = np.asarray(Image.open(buffer).convert("L"))
    assert pixels.std() > 10
    assert Image.open(io.BytesIO(figure._repr_png_())).size == Image.open(buffer).size
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 2 * 10
    assert [axis.get_title() for axis in shown[:10]] == list("0123456789")
    assert result.plot("brainleaks-v1").axes[0].images
    with pytest.raises(InputError, match="its attacks are brainleaks-v1, brainleaks-v2"):
        result.plot("brainleaks-v3")


def test_recordings_and_runs_without_a_panel_are_shown(events_run, protocol_run):
    for folder in (events_run, protocol_run):
        found = brainleaks.load(folder)
        assert Tags(found._repr_html_()).tags.count("img") >= 2 * 10
        assert found.plot().axes
        assert found.to_frame("levels").shape[0] == 4
        assert found.to_frame().shape[0] == len(found.to_frame())


def test_a_run_without_reconstructions_shows_its_levels(tmp_path):
    settings = ["attacks={loss-threshold: {attack: loss-threshold}}", "judging=null"]
    settings += ["target.network.hidden=30", "target.training.epochs=1", "membership={shadows: 4}"]
    settings += ["evaluators={}", "membership.samples=50"]
    study = load_study("demo", tuple(settings))
    found = Result.of(run_study(study, cache=Cache(tmp_path)))
    assert "Area under the ROC curve" in found._repr_html_()
    assert "loss-threshold" in set(found.to_frame()["attack"])
    assert "3 membership" in " ".join(t.get_text() for t in found.plot().axes[0].get_yticklabels())


def test_a_run_that_is_not_saved_leaves_nothing_behind(tmp_path):
    settings = ("judging=null", "target.network.hidden=30", "target.training.epochs=1", "draws=1")
    settings += ("evaluators.snn-conv.training.epochs=1", "attacks.brainleaks-v1.iterations=1")
    outcome = run_study(load_study("demo", settings), cache=Cache(tmp_path / "store"))
    found = Result.of(outcome)
    place = found.run.folder
    assert place.is_dir()
    assert found.save(tmp_path / "run") == tmp_path / "run" / "report.html"
    again = brainleaks.load(tmp_path / "run")
    assert again.results | {"run_dir": ""} == found.results | {"run_dir": ""}
    with pytest.raises(InputError, match="was loaded from"):
        again.save(tmp_path / "copy")
    del found
    gc.collect()
    assert not place.exists()
