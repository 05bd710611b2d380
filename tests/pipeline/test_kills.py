"""Runs, audits and studies that are killed over and over end in the bytes of an undisturbed one.

``BRAINLEAKS_KILLS`` is how many kills each of the three gets; ``make kills`` gives 34.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from brainleaks.files import atomic
from brainleaks.networks import SpikingMLP
from brainleaks.neuron import FastSigmoid

KILLS = int(os.environ.get("BRAINLEAKS_KILLS", "2"))
SEED = int(os.environ.get("BRAINLEAKS_SEED", "0"))
ENDED = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM)
SERVER = Path(__file__).with_name("command_server.py")
#: What differs from run to run: times, and where the run lies.
NOISE = ("seconds", "run_dir", "finished", "command", "runs")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="commands run in forks")

TINY = (
    "target.network.hidden=40", "target.training.epochs=12", "draws=5",
    "evaluators.snn-conv.training.epochs=1", "attacks.brainleaks-v1.iterations=6",
    "attacks.brainleaks-v2.iterations=6",
)  # fmt: skip
AUDIT = ("judging.judge_steps=15", "judging.reconstructions=1", "draws=5",
         "target.training.epochs=2", "evaluators.snn-conv.training.epochs=1")  # fmt: skip


def settings(*fields):
    return [word for field in fields for word in ("--set", field)]


def model():
    torch.manual_seed(0)
    return SpikingMLP((1, 8, 8), 3, hidden=30, beta=0.7, surrogate=FastSigmoid(40))


def a_run(base, out):
    return ["run", "demo", "--out", str(out), *settings(*TINY, "judging=null")]


def a_study(base, out):
    return ["run", "demo", "--seeds", "2", "--out", str(out), *settings(*TINY, "judging=null")]


def an_audit(base, out):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 10)
    images = rng.random((30, 8, 8)).astype(np.float32) * 0.3
    images[np.arange(30), labels * 2] += 0.6
    parts = {"x_train": images, "y_train": labels, "x_test": images[::2], "y_test": labels[::2]}
    np.savez(base / "data.npz", **parts)
    atomic.write_tensors(base / "net.safetensors", model().state_dict())
    (base / "killed_model.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_kills import model\n"
    )
    what = [str(base / "net.safetensors"), "--factory", "killed_model:model", "--data"]
    how = ["--steps", "8", "--attack", "brainleaks-v1", "--out", str(out)]
    return ["audit", *what, str(base / "data.npz"), *how, *settings(*AUDIT)]


class Server:
    """Starts commands and waits for them; ``said`` is the file of their stderr."""

    def __init__(self, folder, cache):
        environment = {"BRAINLEAKS_STORE": str(cache), "OMP_NUM_THREADS": "1"}
        self.said = folder / "stderr"
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVER)],
                cwd=folder,
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    def run(self, arguments, kill_after=None, how=signal.SIGKILL):
        """The status of a command, which may be killed."""
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        number = int(self.process.stdout.readline())
        if kill_after is not None:
            timer = threading.Timer(kill_after, os.kill, (number, how))
            timer.start()
        status = int(self.process.stdout.readline())
        if kill_after is not None:
            timer.cancel()
        return status

    def complaint(self):
        """The end of what commands said on stderr."""
        return self.said.read_text()[-3000:]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.communicate("")


def without_noise(content):
    if isinstance(content, dict):
        return {k: without_noise(v) for k, v in content.items() if k not in NOISE}
    return [without_noise(v) for v in content] if isinstance(content, list) else content


def made(folder):
    """Every tensor file's bytes, and the numbers of every JSON file but times."""
    tensors = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.safetensors")}
    names = ("results.json",)
    numbers = {
        p.relative_to(folder): without_noise(json.loads(p.read_text()))
        for p in folder.rglob("*.json")
        if p.name in names
    }
    assert numbers
    return tensors, numbers


@pytest.mark.parametrize("job", [a_run, a_study, an_audit])
def test_killed_over_and_over_it_ends_in_the_same_bytes(tmp_path, job):
    base, cache = tmp_path / "base", tmp_path / "store"
    base.mkdir()
    arguments = job(base, base / "out")
    with Server(base, cache) as server:
        started = time.perf_counter()
        assert server.run(arguments) == 0
        takes = time.perf_counter() - started
        undisturbed = made(base)
        chance, kills = random.Random(SEED), 0
        while kills < KILLS:
            shutil.rmtree(cache)
            shutil.rmtree(base / "out")
            shutil.rmtree(base / "runs", ignore_errors=True)
            # until it gets through: a kill costs a stage its last steps alone
            while kills < KILLS:
                how = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
                status = server.run(arguments, chance.uniform(0, 0.7 * takes), how)
                if status == 0:
                    break
                assert status in ENDED, server.complaint()
                kills += 1
            assert server.run(arguments) == 0, server.complaint()
            assert made(base) == undisturbed
    assert not [path.name for path in tmp_path.rglob("*.unfinished")]
    assert not list(cache.rglob("*.checkpoint"))
