"""The preset that both files here run: each in a worker of its own, what they train shared."""

import os

import pytest

from brainleaks import keep_freed_memory
from brainleaks.pipeline import Cache
from brainleaks.studies import load_study


@pytest.fixture(autouse=True)
def memory():
    """As the command line does, without which the kernel takes much of the time."""
    keep_freed_memory()


@pytest.fixture
def cache(tmp_path_factory):
    """One for all workers; what a worker lacks, it makes."""
    base = tmp_path_factory.getbasetemp()
    return Cache((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "presets")


@pytest.fixture
def study():
    """The faces in full, but for the number of draws and the panel."""
    return load_study("faces-snn", ("draws=2", "judging=null"))
