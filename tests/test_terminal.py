"""What the command line looks like in a window: colours, width, help and completion."""

import io
import re
import sys

import pytest
import torch
from click.shell_completion import BashComplete

from brainleaks.cli import cli
from brainleaks.cli.printing import print_scale, print_verdict
from brainleaks.evaluation.levels import no_claim
from brainleaks.evaluation.verdict import decide
from test_cli import brainleaks, refused


class Window(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def verdict():
    claims = [no_claim("kind", level, "Why.", []) for level in (1, 2, 3, 4)]
    claims[0] |= {"shown": False}
    claims[1] |= {"shown": True, "attack": "smooth-inversion", "value": 0.5, "low": 0.25}
    claims[1] |= {"high": 0.75, "measure": "correlation as a share of the class mean's"}
    return decide(claims)


def shown(verdict, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Window())
        print_verdict(verdict)
        print_scale(verdict["levels"])
        return sys.stdout.getvalue()


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_a_verdict_fits_the_window(verdict, monkeypatch, columns):
    text = re.sub(r"\x1b\[\d+m", "", shown(verdict, monkeypatch, columns))
    assert max(map(len, text.splitlines())) <= columns
    assert "".join(verdict["sentence"].split()) in "".join(text.split())


def test_colours_say_what_the_words_say(verdict, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(verdict, monkeypatch, 120)
    assert text.startswith("\x1b[31m\x1b[1mLeak (level 2 of 4")
    assert "\x1b[31myes\x1b[0m" in text
    assert "\x1b[32mno\x1b[0m" in text
    assert "\x1b[33minconclusive\x1b[0m" in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(verdict, monkeypatch, 120)


def test_a_pipe_gets_whole_lines_without_colours(verdict, capsys):
    print_verdict(verdict)
    print_scale(verdict["levels"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == verdict["sentence"]
    assert len(lines) == 5
    assert lines[2].endswith("0.50 (0.25 to 0.75): correlation as a share of the class mean's")


def test_alone_it_shows_its_help():
    done = brainleaks()
    assert done.returncode == 0
    assert "Commands:\n  audit " in done.stdout
    assert done.stderr == ""
    assert "prune" in brainleaks("cache").stdout


def completed(*words):
    shell = BashComplete(cli, {}, "brainleaks", "_BRAINLEAKS_COMPLETE")
    *before, incomplete = words
    return [item.value for item in shell.get_completions(list(before), incomplete)]


def test_the_shell_completes_presets_attacks_and_data_sets():
    assert {"faces-snn", "faces-snn-best"} <= set(completed("run", "faces-s"))
    assert completed("run", "strong") == ["strongest", "strong"]  # and files
    assert completed("audit", "net.pt", "--attack", "smo") == ["smooth-inversion"]
    assert completed("data", "fetch", "att") == ["att-faces"]


def test_what_is_mistyped_is_answered_with_what_was_meant():
    said = refused("run", "demo", "--set", "target.training.epoch=5")
    assert said.endswith("target.training.epoch: unknown field; did you mean epochs?\n")


def test_a_device_that_is_not_there():
    assert "--device gpu: unknown device; expected auto, cpu" in refused(
        "run", "demo", "--device", "gpu"
    )
    beyond = f"cuda:{torch.cuda.device_count()}"
    assert f"--device {beyond}: torch finds" in refused("run", "demo", "--device", beyond)
