"""Several networks at once are the same networks as one after the other."""

import importlib
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from brainleaks import InputError
from brainleaks.data import digits
from brainleaks.pipeline import Cache, several
from brainleaks.pipeline.controls import OwnTargets
from brainleaks.pipeline.loading import as_taken
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.pipeline.several import Job, train_several
from brainleaks.studies import load_study

SMALL = (
    "subset={train: 200, test: 60}",
    "target.network.hidden=20",
    "target.training={learning_rate: 0.005, batch_size: 50, epochs: 2}",
)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def targets(tmp_path, name):
    study = load_study("demo", SMALL)
    pipeline = Pipeline(
        study, 0, as_taken(study, digits.load(tmp_path)), "cpu", Cache(tmp_path / name)
    )
    jobs = [Job(f"network-{i}", pipeline.dataset) for i in range(3)]
    return pipeline, OwnTargets(pipeline), jobs


def weights(trained):
    return [network.network.fc1.weight for network in trained]


def test_at_once_and_one_by_one(tmp_path, two_threads, monkeypatch):
    pipeline, made, jobs = targets(tmp_path, "several")
    asked = []
    monkeypatch.setattr(
        several, "_train_in_processes",
        lambda train, missing, n, real=several._train_in_processes: (
            asked.append((len(missing), n)), real(train, missing, n)
        ),
    )  # fmt: skip
    together = train_several(made.retrained, jobs, pipeline.cache, device="cpu")
    again = train_several(made.retrained, jobs, pipeline.cache, device="cpu")
    assert asked == [(3, 2)]  # the second time, nothing was missing
    assert torch.get_num_threads() == 2
    single, one, jobs = targets(tmp_path, "single")
    torch.set_num_threads(1)
    alone = train_several(one.retrained, jobs, single.cache, device="cpu")
    for a, b, c in zip(weights(together), weights(alone), weights(again), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert [n.key for n in together] == [n.key for n in alone]


def test_what_cannot_be_sent_is_trained_here(tmp_path, two_threads):
    pipeline, made, jobs = targets(tmp_path, "unsent")
    kept = (line for line in [])  # a generator cannot be pickled

    def train(name, dataset, nothing=kept):
        return made.retrained(name, dataset)

    assert len(train_several(train, jobs, pipeline.cache, device="cpu")) == 3


ELSEWHERE = """
from brainleaks.networks import SpikingMLP


class Mine(SpikingMLP):
    pass
"""


def test_a_class_of_a_module_in_the_current_folder(tmp_path, two_threads, monkeypatch):
    """As a factory imports it: the folder is in the path only while it does."""
    (tmp_path / "mine_elsewhere.py").write_text(ELSEWHERE)
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        mine = importlib.import_module("mine_elsewhere").Mine
    pipeline, made, jobs = targets(tmp_path, "elsewhere")
    done = tmp_path / "done"
    done.mkdir()

    def train(name, dataset, kind=mine):
        (done / f"{name}-{os.getpid()}").touch()
        return made.retrained(name, dataset)

    train_several(train, jobs, pipeline.cache, device="cpu")
    pids = {path.name.rpartition("-")[2] for path in done.glob("*")}
    assert pids - {str(os.getpid())}  # other processes had it, too


def test_what_fails_there_is_raised(tmp_path, two_threads):
    pipeline, made, jobs = targets(tmp_path, "failing")
    here = os.getpid()

    def train(name, dataset):
        if os.getpid() != here:
            raise InputError("the training diverged.")
        return made.retrained(name, dataset)

    with pytest.raises(InputError, match="diverged"):
        train_several(train, jobs, pipeline.cache, device="cpu")


def test_a_cache_that_is_only_read_makes_nothing(tmp_path):
    pipeline, made, jobs = targets(tmp_path, "read")
    train = partial(made.retrained, "network-0", jobs[0].dataset)
    with pipeline.cache.only_read(), pytest.raises(several.MissingError):
        train()
    kept = train()
    with pipeline.cache.only_read():
        assert torch.equal(train().network.fc1.weight, kept.network.fc1.weight)


LONG = """
import torch
from pathlib import Path
from test_several import SMALL, targets
import test_several
LONG = "target.training={learning_rate: 0.1, batch_size: 2, epochs: 900}"
test_several.SMALL = (*SMALL[:2], LONG)
torch.set_num_threads(2)
pipeline, made, jobs = targets(Path.cwd(), "killed")
test_several.train_several(made.retrained, jobs, pipeline.cache, device="cpu")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    """They would go on for hours."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen(
        [sys.executable, "-c", LONG], cwd=tmp_path, env=environment, start_new_session=True
    )
    store = tmp_path / "killed"
    wait_for(lambda: len(list(store.glob("locks/*.lock"))) >= 2, 60)
    parent.kill()
    parent.wait()

    def gone():
        try:
            os.killpg(parent.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(gone, 20)


def wait_for(what, seconds):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)
