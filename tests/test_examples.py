"""The examples are run as the documentation says, and what they save is audited."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from brainleaks.adapters import FRAMEWORKS, load_model
from brainleaks.data import digits
from test_cli import brainleaks

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*_net.py"))
QUICK = (
    "judging={judge_steps: 60, reconstructions: 1}",
    "target.training={epochs: 4, batch_size: 8, learning_rate: 3.0e-3, gradient_clip: 1.0}",
    "attacks.smooth-inversion.iterations=10",
    "draws=2",
)
ATTACK = "smooth-inversion"


def commands():
    """What the page says is to be typed: to train and to audit, by framework and architecture."""
    page = (ROOT / "docs" / "audit.md").read_text()
    shown = re.findall(
        r"^python (examples/(\w+)_net\.py .*--architecture (\w+) .*)\nbrainleaks (audit .*)$",
        page.replace("\\\n", " "),
        re.MULTILINE,
    )
    return {(name, form): (shlex.split(a), shlex.split(b)) for a, name, form, b in shown}


def every():
    """The same commands for all forms of network that an example builds."""
    found = {}
    for (name, _), lines in commands().items():
        forms = re.search(r"FORMS = ({.*})", (ROOT / f"examples/{name}_net.py").read_text())[1]
        for form in re.findall(r'"(\w+)":', forms):
            found[name, form] = [[other(w, form) for w in words] for words in lines]
    return found


def other(word, form):
    return form if word == "fc" else f"{word.removesuffix('fc')}{form}" if ":" in word else word


COMMANDS = every()
#: The others learn too slowly for an audit of seconds.
AUDITED = [key for key in COMMANDS if key[1] == "fc" or (key[1] == "conv" and key[0] != "sinabs")]


def test_the_page_shows_every_example():
    names = {path.stem.removesuffix("_net") for path in EXAMPLES}
    assert names == set(FRAMEWORKS) - {"torch"}
    assert set(commands()) == {(name, "fc") for name in names}
    page = (ROOT / "docs" / "audit.md").read_text()
    for path in (*EXAMPLES, ROOT / "examples" / "training.py"):
        assert f"```{{literalinclude}} ../examples/{path.name}\n" in page


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Digits as a user has them, and the store of all audits here, which share their judges."""
    base = tmp_path_factory.mktemp("examples")
    whole = digits.load(base)
    arrays = {}
    for part, count in (("train", 400), ("test", 100)):
        inputs, labels, _ = getattr(whole, part).first(count)
        arrays |= {f"x_{part}": inputs.numpy(), f"y_{part}": labels.numpy()}
    np.savez(base / "digits.npz", **arrays)
    return base


def instead(words, **places):
    """A command with other places than the page's."""
    return [str(places.get(word, word)) for word in words]


@pytest.fixture
def trained(base, monkeypatch):
    """Trains and saves an example as the page says; returns the places and the audit's command."""

    def train(name, form, epochs):
        words, audit = COMMANDS[name, form]
        saved = audit[1]
        places = {"data/faces": base / "digits.npz", saved: base / f"{form}-{saved}"}
        monkeypatch.chdir(ROOT)
        monkeypatch.syspath_prepend(ROOT / "examples")  # as python does for the file that it runs
        monkeypatch.setenv("BRAINLEAKS_STORE", str(base / "store"))
        settings = ["--epochs", str(epochs), "--lr", "3e-3"]
        monkeypatch.setattr(sys, "argv", [*instead(words, **places), *settings])
        runpy.run_path(words[0], run_name="__main__")
        return places, audit

    return train


@pytest.mark.parametrize(("name", "form"), AUDITED)
@pytest.mark.filterwarnings("ignore")  # the frameworks' own
def test_trained_saved_and_audited(name, form, base, trained):
    places, audit = trained(name, form, 4)
    quick = [word for setting in QUICK for word in ("--set", setting)]
    out = base / f"{name}-{form}"
    done = brainleaks(*instead(audit, **places), *quick, "--attack", ATTACK, "--out", out)
    assert done.returncode == 0, done.stderr
    results = json.loads((out / "results.json").read_text())
    assert results["verdict"]["verdict"] in ("leak", "no leak shown", "inconclusive")
    assert results["verdict"]["sentence"] in done.stdout
    assert {c["control"] for c in results["controls"]} >= {"untrained", "shuffled-labels"}
    target = results["target"]
    assert target["framework"] == name
    assert target["test_accuracy"] > 0.3  # chance is 0.1
    if target["lowered"]:
        assert target["adapter"]["parity"]["identical"]
        assert target["adapter"]["parity"]["samples"] == 10
    else:  # sums in another order may flip a spike at the threshold
        assert "differ on 10 samples" in target["adapter"]["why_not_lowered"]


@pytest.mark.parametrize(("name", "form"), sorted(COMMANDS.keys() - set(AUDITED)))
@pytest.mark.filterwarnings("ignore")  # the frameworks' own
def test_other_forms_are_trained_saved_and_lowered(name, form, base, trained):
    """``make acceptance`` audits them, at full size."""
    places, audit = trained(name, form, 1)
    images = digits.load(base).test.inputs[:10]
    spikes = (
        torch.rand(25, *images.shape, generator=torch.Generator().manual_seed(0)) < images
    ) * 1.0
    adapted = load_model(
        places[audit[1]],
        framework=None,
        factory=audit[audit.index("--factory") + 1],
        samples=spikes,
        classes=10,
    )
    assert adapted.framework == name
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert adapted.facts["parity"]["identical"]
