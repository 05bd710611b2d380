"""Shared fixtures: real data where it is found, small networks, a store of one's own."""

import os
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # one worker a core, one thread a worker
    os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"

import pytest
import torch

from brainleaks.networks import SpikingMLP
from brainleaks.neuron import FastSigmoid

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))


def pytest_collection_modifyitems(items):
    """The longest first, so that no worker ends long after the others."""
    items.sort(key=lambda item: "presets" not in item.path.parts)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINLEAKS_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; its absence skips a test here and fails it in CI."""
    named = os.environ.get("BRAINLEAKS_DATA")
    if named and Path(named).is_dir():
        return Path(named)
    if os.environ.get("CI"):
        pytest.fail("CI must have real data: BRAINLEAKS_DATA names no folder")
    pytest.skip("BRAINLEAKS_DATA names no folder of real data")


@pytest.fixture
def small_snn() -> SpikingMLP:
    """A spiking network on 1 x 4 x 5 inputs with 6 classes, seeded, lively enough to spike."""
    torch.manual_seed(3)
    network = SpikingMLP((1, 4, 5), 6, hidden=40, beta=0.7, surrogate=FastSigmoid(40))
    with torch.no_grad():
        network.fc1.weight.mul_(4)
        network.fc2.weight.mul_(4)
    return network
