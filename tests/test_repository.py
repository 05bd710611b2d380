"""The files that live on GitHub: the action runs, and what a release holds."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parent.parent
FACTORY = """
from torch import nn
import torch

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
"""
OPTIONS = (
    "--framework torch --encoding none --attack fredrikson --set judging=null "
    "--set attacks.fredrikson.iterations=2 --set evaluators.ann-conv.training.epochs=1"
)


def steps():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    return action, {step.get("name"): step for step in action["runs"]["steps"]}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "made.py").write_text(FACTORY)
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 1, 4, 4), np.float32), np.arange(60) % 4
    np.savez(tmp_path / "data.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


def audited(place, **inputs):
    """The action's step in a shell, as GitHub runs it."""
    action, named = steps()
    defaults = {name: field.get("default", "") for name, field in action["inputs"].items()}
    values = defaults | inputs
    variables = {
        name: values[text.removeprefix("${{ inputs.").removesuffix(" }}")]
        for name, text in named["Audit"]["env"].items()
    }
    summary = place / "summary.md"
    summary.touch()
    done = subprocess.run(
        [shutil.which("bash"), "--noprofile", "--norc", "-eo", "pipefail", "-c",
         named["Audit"]["run"]],
        cwd=place, capture_output=True, text=True, check=False,
        env=os.environ | variables | {
            "GITHUB_STEP_SUMMARY": str(summary), "BRAINLEAKS_STORE": str(place / "store"),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path]),
            "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
        },
    )  # fmt: skip
    return done, summary.read_text()


@pytest.mark.skipif(os.name == "nt", reason="the test needs bash and links")
def test_the_action_audits_and_posts_its_summary(place):
    how = {"data": "data.npz", "factory": "made:build", "options": OPTIONS}
    done, summary = audited(place, **how)
    assert done.returncode == 3, done.stderr  # what was not decided does not pass
    assert summary.startswith("### Inconclusive")
    assert "| 2 recognisable class content | inconclusive |" in summary
    assert (place / "brainleaks-audit" / "report.html").is_file()
    done, _ = audited(place, **how | {"data": "$(touch harm).npz"})
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert not (place / "harm").exists()


def test_no_input_is_part_of_a_script():
    _, named = steps()
    assert all("${{" not in step.get("run", "") for step in named.values())
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            assert all("${{" not in step.get("run", "") for step in job["steps"]), path.name


def test_every_workflow_asks_for_no_more_than_it_needs():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        assert yaml.safe_load(path.read_text())["permissions"]["contents"] == "read", path.name


def test_the_version_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == project["version"]
    oldest = project["requires-python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {oldest}" in project["classifiers"]
