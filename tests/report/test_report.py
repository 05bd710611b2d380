import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from brainleaks import InputError, atomic
from brainleaks.report import write_report
from brainleaks.report.pictures import pictures, stretch
from brainleaks.study import Store, load_study, run_study
from brainleaks.study import folder as run_folder

QUICK = (
    "target.network.hidden=60",
    "target.training.epochs=2",
    "evaluators.snn-conv.training.epochs=1",
    "draws=5",
    "printed.target_test_accuracy=0.9625",
    "printed.attacks.brainleaks-v1={attack_accuracy: 0.123, top3_accuracy: 1, confidence: 1, "
    "daa: 1}",
)


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    base = tmp_path_factory.mktemp("report")
    outcome = run_study(load_study("demo", QUICK), store=Store(base / "store"))
    run_folder.write(outcome, base / "run")
    write_report(base / "run")
    return base / "run"


def test_every_class_has_its_pictures_with_a_text_for_those_who_do_not_see_them(run):
    page = _Page((run / "report.html").read_text())
    texts = [attrs["alt"] for tag, attrs in page.tags if tag == "img"]
    kinds = ("training sample", "brainleaks-v1", "brainleaks-v2")
    assert texts == [f"{kind} for class {c}" for c in range(10) for kind in kinds]


def test_nothing_is_fetched(run):
    text = (run / "report.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", text)
    assert "@import" not in text
    assert "http" not in re.sub(r"data:[^\"]*", "", text)


def test_numbers_stand_beside_the_printed_ones(run):
    text = " ".join(_Page((run / "report.html").read_text()).text)
    for entry in atomic.read_json(run / "results.json")["attacks"]:
        assert f"{entry['attack_accuracy']:.3f}" in text
    assert "paper 0.123" in text
    assert "0.963" in text
    assert "over Bernoulli draws" in text


def test_names_are_escaped(run, tmp_path):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    results = atomic.read_json(copy / "results.json")
    results["dataset"]["class_names"][0] = "<script>alert(1)</script>"
    atomic.write_json(copy / "results.json", results)
    write_report(copy)
    assert "<script>" not in (copy / "report.html").read_text()


def test_figure(run):
    with Image.open(run / "figures" / "reconstructions.png") as figure:
        pixels = np.asarray(figure.convert("L"))
    assert figure.size[0] > figure.size[1] > 200
    assert pixels.std() > 50


def test_spikes_become_rates():
    spikes = np.zeros((2, 4, 1, 6), np.float32)
    spikes[0, :, 0, 1] = 1
    spikes[0, :2, 0, 5] = 1
    first, second = pictures(spikes, (1, 2, 3))
    assert first.tolist() == [[0, 255, 0], [0, 0, 128]]
    assert not second.any()


def test_stretch_uses_the_images_own_range():
    assert stretch(np.array([[-3.0, 1.0]], np.float32)).tolist() == [[0, 255]]


def test_refuses_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match="not a finished run"):
        write_report(tmp_path)
