"""A kind of evidence is added by one file in each of its rooms, and no other file is touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import brainleaks
from brainleaks.evaluation.levels import LEVELS
from brainleaks.pipeline.evidence import KINDS
from brainleaks.report.sections import _SECTIONS

ATTACK = '''
"""Constant: the same score for every sample."""

from typing import ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass

from brainleaks.target import Access


@dataclass(frozen=True)
class Constant:
    """Say the same of every sample."""

    access: ClassVar[Access] = "labels"
    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = False
    kind: ClassVar[str] = "toy"
    version: ClassVar[int] = 1

    score: float = 0.5
    attack: Literal["constant"] = "constant"

    def __call__(self, target, inputs, *, generator=None, monitor=None):
        return torch.full((len(inputs),), self.score)
'''

EVIDENCE = """
from brainleaks.evaluation.levels import Claim
from brainleaks.pipeline.evidence.kind import Case, Evidence, Kind


def gather(case: Case) -> Evidence:
    inputs = case.pipeline.dataset.test.inputs[:7]
    facts, claims = {}, []
    for name, attack in case.attacks.items():
        artefact, _ = case.pipeline.ask(name, attack, case.target, lambda: [inputs], {"toy": 7})
        scores = artefact.tensors["answer"]
        facts[name] = {"mean": float(scores.mean()), "samples": len(scores)}
        claims.append(Claim(kind="toy", level=3, attack=name, shown=False, measure="mean score",
                            value=0.0, low=0.0, high=0.0, sentence="The toy tells nobody apart.",
                            supports=[], opposes=["The scores are all the same."]))
    return Evidence(facts, claims, tensors={"toy": {"scores": scores}})


KIND = Kind(name="toy", controls=(), levels=(3,), gather=gather)
"""

SECTION = """
from markupsafe import Markup

from brainleaks.report.sections.section import Section

KIND = "toy"


def section(run):
    rows = Markup("").join(
        Markup("<p>{}: mean score {}</p>").format(name, found["mean"])
        for name, found in run.results["evidence"]["toy"].items()
    )
    html = Markup('<section><h2 id="toy">Toy</h2>{}</section>').format(rows)
    return Section({"toy": "Toy"}, html)
"""

FILES = {
    "attacks/constant.py": ATTACK,
    "pipeline/evidence/toy.py": EVIDENCE,
    "report/sections/toy.py": SECTION,
}
SMALL = (
    "subset={train: 200, test: 50}",
    "target.training.epochs=1",
    "evaluators.snn-conv.training.epochs=1",
    "draws=2",
    "judging=null",
)


def run(tmp_path, attacks):
    package = tmp_path / "package" / "brainleaks"
    if not package.exists():
        shutil.copytree(Path(brainleaks.__file__).parent, package)
        for name, text in FILES.items():
            assert not (package / name).exists()
            (package / name).write_text(text)
    settings = [word for s in (*SMALL, f"attacks={attacks}") for word in ("--set", s)]
    command = [sys.executable, "-m", "brainleaks", "run", "demo", *settings, "--out", "run"]
    environment = os.environ | {
        "PYTHONPATH": str(package.parent),
        "BRAINLEAKS_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    return results, (tmp_path / "run" / "report.html").read_text(), done


def test_a_toy_kind_beside_class_reconstruction(tmp_path):
    both = "{brainleaks-v2: {attack: brainleaks-v2, iterations: 1}, same: {attack: constant}}"
    results, report, _ = run(tmp_path, both)
    assert results["evidence"] == {"toy": {"same": {"mean": 0.5, "samples": 7}}}
    assert [claim["kind"] for claim in results["verdict"]["claims"]] == [
        *["class-reconstruction"] * 3, "toy",
    ]  # fmt: skip
    assert results["verdict"]["levels"][2]["sentence"] == "The toy tells nobody apart."
    assert '<a href="#toy">Toy</a>' in report
    assert "<p>same: mean score 0.5</p>" in report
    assert '<h2 id="evidence">' in report
    assert (tmp_path / "run" / "toy.safetensors").exists()


def test_a_toy_kind_alone(tmp_path):
    results, report, done = run(tmp_path, "{same: {attack: constant, score: 0.25}}")
    assert results["evidence"]["toy"]["same"]["mean"] == 0.25
    assert results["verdict"]["verdict"] == "no leak shown"
    assert "<p>same: mean score 0.25</p>" in report
    assert '<h2 id="evidence">' not in report
    assert "no leak shown" in done.stdout.lower()


def test_every_kind_says_what_it_can_show_and_has_a_section():
    for name, kind in KINDS.items():
        assert set(kind.levels) <= set(LEVELS)
        assert kind.controls
        assert name in _SECTIONS
