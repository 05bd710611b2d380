"""One line says where a run is, and it counts what is there."""

import io
import os
import re
import struct
from collections import Counter

import pytest
import torch

from brainleaks.audit import Inputs, plan, run
from brainleaks.data import digits
from brainleaks.networks import SpikingMLP
from brainleaks.neuron import FastSigmoid
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.cache import Artefact
from brainleaks.pipeline.forecast import forecast
from brainleaks.pipeline.overall import Overall
from brainleaks.studies import load_study

SMALL = (
    "target.network.hidden=30",
    "target.training.epochs=1",
    "evaluators.snn-conv.training.epochs=1",
    "attacks.brainleaks-v1.iterations=1",
    "attacks.brainleaks-v2.iterations=1",
    "draws=2",
    "judging={judge_steps: 2, reconstructions: 2}",
)
MEMBERSHIP = "attacks={loss-threshold: {attack: loss-threshold}, lira: {attack: lira}}"


@pytest.fixture
def counted(monkeypatch):
    """Every line of progress that was opened, when it is closed."""
    seen = []
    close = Overall.__exit__

    def closed(self, *error):
        seen.append(self)
        close(self, *error)

    monkeypatch.setattr(Overall, "__exit__", closed)
    return seen


@pytest.mark.parametrize(
    "settings",
    [
        SMALL,
        (*SMALL, "judging=null"),
        (*SMALL[:3], "judging=null", MEMBERSHIP, "membership={samples: 50, shadows: 4}"),
    ],
)
def test_the_number_of_stages_is_known_beforehand(tmp_path, counted, settings):
    study = load_study("demo", settings)
    for _ in range(2):  # found in the cache, stages are counted as well
        run_study(study, cache=Cache(tmp_path))
        assert counted[-1]._done == counted[-1]._expected


def test_the_number_of_stages_of_an_audit(tmp_path, counted):
    torch.manual_seed(0)
    network = SpikingMLP((1, 8, 8), 10, hidden=20, beta=0.7, surrogate=FastSigmoid(40))
    whole = digits.load(tmp_path)
    settings = ["judging={judge_steps: 2, reconstructions: 1}", "target.training.epochs=6"]
    names = ["brainleaks-v1", "loss-threshold"]
    planned = plan(network, whole, inputs=Inputs(steps=4), attacks=names, settings=settings)
    run(planned, cache=Cache(tmp_path / "store"))
    assert counted[-1]._done == counted[-1]._expected == forecast(planned.study, whole)


STAGES = [("a", "train:a", 10), ("b", "attack:b", 4), ("c", "train:c", 10)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_one_line(tmp_path, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    run_study(load_study("demo", (*SMALL, "judging=null")), cache=Cache(tmp_path))
    shown = screen.getvalue()
    assert "\n" not in shown
    assert re.search(r"stage 1 of 7: train:target 1/1, loss=", shown)
    assert re.search(r"stage 7 of 7, 00:0\d left: judge:snn-conv", shown)


def test_the_line_is_as_wide_as_the_terminal(monkeypatch):
    pytest.importorskip("termios")
    import fcntl
    import termios

    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
    with os.fdopen(reader, "rb", 0) as read, os.fdopen(writer, "w", encoding="utf-8") as screen:
        monkeypatch.setattr("sys.stderr", screen)
        with Overall(Counter(train=3)) as overall, overall.stage("train:target", "key"):
            overall.advance(5, 10, "loss=0.123, " * 10)
        screen.flush()
        lines = read.read(4000).decode().replace("\x1b[0m", "").split("\r")
    assert max(map(len, lines)) <= 60
    assert any("train:target 5/10" in line for line in lines)


def test_the_time_left_is_that_of_stages_of_the_same_kind(monkeypatch):
    """Two trainings of 10 s and an attack of 4 s: one of each is left after the second training."""
    now = [0.0]
    monkeypatch.setattr("brainleaks.pipeline.overall.time.perf_counter", lambda: now[0])
    with Overall(Counter(train=3, attack=2)) as overall:
        assert overall.where == "stage 1 of 5"
        for key, name, seconds in (
            ("a", "train:a", 10),
            ("b", "attack:b", 4),
            ("c", "train:c", 10),
        ):
            with overall.stage(name, key):
                now[0] += seconds
                overall.made()
        assert overall.seconds_left == 14
        assert overall.where == "stage 4 of 5, 00:14 left"
        with overall.stage("train:d", "d"):
            now[0] += 3
            assert overall.seconds_left == 11
        with overall.stage("train:d", "d"):
            pass
        assert overall._done["train"] == 3


def test_a_log_says_in_which_stage_a_line_is(tmp_path, monkeypatch, capsys):
    now = [0.0]
    for module in ("progress", "overall"):
        monkeypatch.setattr(f"brainleaks.pipeline.{module}.time.perf_counter", lambda: now[0])

    def make(recorder):
        for i in recorder.remaining(2):
            now[0] += 40
            recorder.advance(i, {"x": torch.zeros(())}, loss=0.5)
        return Artefact({})

    cache = Cache(tmp_path)
    with cache.counted(Counter(train=3)):
        cache.get_or_make("train:target", {}, make)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("stage 1 of 3: train:target: 1/2 [00:40<00:40")
