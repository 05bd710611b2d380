import base64
import hashlib
import html
import itertools
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from brainleaks import InputError
from brainleaks.cli import cli
from brainleaks.files import atomic
from brainleaks.report import verdict_as_markdown, write_report
from brainleaks.report.figures import pictures, stretch
from brainleaks.runs import headline, read_results, seal
from brainleaks.studies import load_study


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def alternatives(page):
    return [attrs["alt"] for tag, attrs in page.tags if tag == "img"]


def test_every_class_has_its_pictures_with_a_text_for_those_who_do_not_see_them(run):
    page = _Page((run / "report.html").read_text())
    results = atomic.read_json(run / "results.json")
    expected = set()
    for attack in ("brainleaks-v1", "brainleaks-v2"):
        control = results["likeness"][attack]["strongest_control"]
        beside = ("nearest training sample", f"reconstruction, by {attack}", f"control: {control}")
        expected |= {f"Class {c}, {kind}" for c in range(10) for kind in beside}
    assert set(alternatives(page)) == expected
    assert len(alternatives(page)) == 2 * 3 * 10


def test_the_verdict_comes_first_and_the_evidence_for_it_next(run):
    text = (run / "report.html").read_text()
    decided = atomic.read_json(run / "results.json")["verdict"]
    page = _Page(text)
    headings = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert all(int(b[1]) <= int(a[1]) + 1 for a, b in itertools.pairwise(headings))
    words = " ".join(page.text)
    level, said = decided["sentence"].split(": ", 1)
    places = [words.index(text) for text in (level, said, "The evidence, class by class")]
    assert places == sorted(places)
    assert all(reason in words for reason in decided["reasons"])
    for rung in decided["levels"]:
        assert rung["sentence"] in words
        assert (rung["meaning"] in words) == (rung["status"] in ("yes", "inconclusive"))
        assert all(reason in words for reason in rung["supports"] + rung["opposes"])


def test_the_verdict_of_an_older_version_is_shown_as_it_is(run, tmp_path):
    old = shutil.copytree(run, tmp_path / "old")
    (old / "digests.json").unlink()
    results = json.loads((old / "results.json").read_text())
    for key in ("level", "levels", "claims"):
        del results["verdict"][key]
    results["verdict"] |= {"verdict": "leak", "content": "members", "sentence": "Leak: as it was."}
    for found in (*results["likeness"].values(), *results["controls"]):
        for side in ("members", "held_out"):
            del found["metrics"][f"blurred_correlation_{side}"]
    del results["statistics"]["smallest_p"]
    (old / "results.json").write_text(json.dumps(results))
    words = " ".join(_Page(write_report(old).read_text()).text)
    assert "As it was." in words
    assert "An older version wrote this verdict" in words


def test_every_measure_of_every_judge_and_control_is_there(run):
    results = atomic.read_json(run / "results.json")
    words = " ".join(_Page((run / "report.html").read_text()).text)
    entries = [*results["likeness"].values(), *results["controls"]]
    for entry in entries:
        for measure in ("panel", "identification", "reidentified", "ssim_members"):
            if measure in entry["metrics"]:
                assert (
                    f"{entry['metrics'][measure]['value']:.3f}".replace("-", "\N{MINUS SIGN}")
                    in words
                )
    for judge in results["judges"]:
        assert judge["name"] in words
        assert f"{judge['test_accuracy']:.3f}" in words


def test_a_run_prints_its_verdict_and_what_the_panel_says(run, run_settings, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINLEAKS_STORE", str(run.parent / "store"))
    changes = [word for setting in run_settings for word in ("--set", setting)]
    words = ["run", "demo", *changes, "--device", "cpu", "--out", str(tmp_path / "again")]
    printed = CliRunner().invoke(cli, words, catch_exceptions=False).stdout
    results = atomic.read_json(run / "results.json")
    panel = results["likeness"]["brainleaks-v1"]["metrics"]["panel"]
    assert f"brainleaks-v1: panel accuracy {panel['value']:.3f}, interval" in printed
    assert results["verdict"]["sentence"] in printed


def test_stands_without_panel_and_controls(protocol_run):
    page = _Page((protocol_run / "report.html").read_text())
    kinds = ("first training sample", "reconstruction, by brainleaks-v1")
    assert {f"Class {c}, {kind}" for c in range(10) for kind in kinds} < set(alternatives(page))
    assert "The panel was left out" in " ".join(page.text)
    ids = {attrs.get("id") for _, attrs in page.tags}
    assert {"evidence", "protocol", "confusion", "curves", "reproduce"} < ids
    assert not {"panel", "attacks", "likeness"} & ids


def test_images_are_no_recordings(run, events_run):
    assert 'class="player"' not in (run / "report.html").read_text()
    assert 'class="player"' in (events_run / "report.html").read_text()


def test_identifiers_and_references_are_sound(run):
    tags = _Page((run / "report.html").read_text()).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in tags:
        for name in ("href", "aria-labelledby", "clip-path"):
            reference = re.fullmatch(r"(?:url\()?#(.+?)\)?", attrs.get(name) or "")
            assert not reference or reference[1] in ids


def test_every_colour_of_a_chart_is_the_pages(run):
    charts = re.findall(r"<svg class=\"chart\".*?</svg>", (run / "report.html").read_text(), re.S)
    assert len(charts) > 10
    for chart in charts:
        assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", chart)) <= {"none"} | {
            f"var(--{name})"
            for name in ("ink", "soft", "line", "series-1", "series-2", "series-3", "series-4")
        }


def test_forty_faces_stay_under_five_megabytes(run, widened, tmp_path):
    """Noise, which packs worse than any face, in the size of AT&T's."""
    folder = widened(run, tmp_path / "wide", classes=40, shape=(1, 112, 92), steps=25)
    assert 1_000_000 < write_report(folder).stat().st_size < 5_000_000


def test_ten_long_recordings_stay_under_five_megabytes(events_run, widened, tmp_path):
    folder = widened(events_run, tmp_path / "wide", classes=11, shape=(1, 128, 128), steps=60)
    assert write_report(folder).stat().st_size < 5_000_000


def test_nothing_is_fetched(run):
    text = (run / "report.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", text)
    assert "@import" not in text
    assert "http" not in re.sub(r"data:[^\"]*|http-equiv", "", text)


def test_numbers_stand_beside_the_printed_ones(run):
    text = " ".join(_Page((run / "report.html").read_text()).text)
    for entry in atomic.read_json(run / "results.json")["attacks"]:
        assert f"{entry['attack_accuracy']:.3f}" in text
    assert "paper 0.123" in text
    assert "0.963" in text
    assert "over Bernoulli draws" in text


ODD_NAMES = ["<script>alert(1)</script>", "$x^$", "$\\frac{", "\x1b[2Jgone", "a\u202egnp.exe"]


def test_names_are_escaped(run, tmp_path):
    """No name is markup, a formula, or what moves the cursor and the order of letters."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    results = atomic.read_json(copy / "results.json")
    results["dataset"]["class_names"][: len(ODD_NAMES)] = ODD_NAMES
    results["description"] = "\x07bell"
    atomic.write_json(copy / "results.json", results)
    seal(copy)
    write_report(copy)
    text = (copy / "report.html").read_text()
    assert "<script>alert" not in text
    assert "$x^$" in text
    assert r"\x1b[2Jgone" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_a_page_runs_no_script_but_its_own(run):
    text = (run / "report.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert html.unescape(policy).endswith(f"script-src 'sha256-{digest}'")
    assert "default-src 'none'" in html.unescape(policy)


def test_what_was_run_is_said_before_the_verdict(run):
    """So that an exercise is not taken for a result."""
    text = " ".join(_Page((run / "report.html").read_text()).text)
    assert text.index(headline(read_results(run))) < text.index(
        read_results(run)["verdict"]["sentence"].split(": ")[0]
    )
    clips = {"preset": "c", "seed": 1, "description": load_study("dvsgesture-clips").description}
    assert headline(clips).startswith("c, seed 1. An exercise, not a result")
    assert headline(clips | {"description": ""}) == "c, seed 1."


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


def test_refuses_a_run_of_an_older_version(run, tmp_path):
    shutil.copytree(run, tmp_path / "old")
    results = atomic.read_json(tmp_path / "old" / "results.json")
    atomic.write_json(
        tmp_path / "old" / "results.json", {k: v for k, v in results.items() if k != "verdict"}
    )
    seal(tmp_path / "old")
    with pytest.raises(InputError, match="older version"):
        write_report(tmp_path / "old")


def test_refuses_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match="not a finished run"):
        write_report(tmp_path)


def test_the_verdict_as_markdown_holds_no_markup_of_strangers(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    results = atomic.read_json(copy / "results.json")
    results["preset"] = "<img src=x> [a](javascript:b) | c\n# d"
    atomic.write_json(copy / "results.json", results)
    seal(copy)
    text = verdict_as_markdown(copy)
    assert "&lt;img src=x&gt; \\[a\\]\\(javascript:b\\) \\| c \\# d, seed 0" in text
    assert text.count("\n| ") == 5
    for rung in results["verdict"]["levels"]:
        assert f"| {rung['level']} {rung['name']} | {rung['status']} |" in text
    assert CliRunner().invoke(cli, ["report", str(copy), "--format", "markdown"]).output == text
