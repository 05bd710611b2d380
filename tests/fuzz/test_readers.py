"""No file of a stranger's ends in anything but a value or one sentence, soon and in little memory.

``BRAINLEAKS_FUZZ`` is how many mutants each format gets; ``make fuzz`` gives 10,000 on fresh seeds.
"""

import contextlib
import os
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import yaml
from formats import FORMATS, GRAPHS, HEADER, PRESETS, graph, hdf5_of, safetensors_of
from hypothesis import HealthCheck, Verbosity, given, settings
from hypothesis.strategies import sampled_from
from mutants import ODD_ARRAYS, ODD_VALUES, mutated_bytes, mutated_tree

from brainleaks import InputError
from brainleaks.files.tensors import read_weights
from brainleaks.pipeline.cache import Artefact, Cache
from brainleaks.studies.reading import load_study

# what Hypothesis says of large files when it shows one that failed
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")

MUTANTS = int(os.environ.get("BRAINLEAKS_FUZZ", "40"))
MEMORY = 1 << 30
FUZZED = settings(
    max_examples=MUTANTS,
    deadline=timedelta(seconds=5),
    derandomize="BRAINLEAKS_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    verbosity=Verbosity.quiet,
)


@pytest.fixture(scope="module", autouse=True)
def little_memory():
    """One gigabyte more than the process has by now; what takes more is a MemoryError."""
    if sys.platform != "linux":
        yield
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def attempt(read, path):
    """Read a file; return the sentence that refuses it, if one does."""
    started = time.perf_counter()
    try:
        read(path)
    except InputError as error:
        said = str(error)
        assert said.isprintable(), said
        assert 20 < len(said) < 2_100, said
        assert "Traceback" not in said
        return said
    finally:
        assert time.perf_counter() - started < 5
    return None


@pytest.mark.parametrize("name", FORMATS)
def test_valid_files_are_read_or_refused_for_their_content_alone(tmp_path, name):
    """A suite of mutants is worth something if what they are mutants of is read."""
    form = FORMATS[name]
    for content in form.seeds:
        path = tmp_path / f"valid{form.suffix}"
        path.write_bytes(form.pack(content))
        with contextlib.suppress(InputError):  # imports and compiles
            form.read(path)
        said = attempt(form.read, path)
        checksum = name.startswith("idx") and "checksum" in str(said)
        several = name == "torch-tensor" and "holds" in str(said)
        unit = name in ("events-npy", "jpeg") and "span" in str(said)
        assert said is None or checksum or several or unit, said


@pytest.mark.parametrize("name", FORMATS)
def test_mutants(tmp_path, name):
    form = FORMATS[name]
    path = tmp_path / f"mutant{form.suffix}"
    for content in form.seeds:  # what the first reading imports and compiles is not a mutant's time
        path.write_bytes(form.pack(content))
        with contextlib.suppress(InputError):
            form.read(path)

    @FUZZED
    @given(content=mutated_bytes(form.seeds))
    def fuzz(content):
        path.write_bytes(form.pack(content))
        attempt(form.read, path)

    fuzz()


def test_mutated_safetensors_headers(tmp_path):
    path = tmp_path / "mutant.safetensors"

    @FUZZED
    @given(header=mutated_tree([HEADER]))
    def fuzz(header):
        path.write_bytes(safetensors_of(header))
        attempt(read_weights, path)

    fuzz()


def test_mutated_studies(tmp_path):
    path = tmp_path / "mutant.yaml"

    @FUZZED
    @given(study=mutated_tree(PRESETS))
    def fuzz(study):
        path.write_text(yaml.safe_dump(study, allow_unicode=True), encoding="utf-8")
        attempt(lambda p: load_study(str(p)), path)

    fuzz()


def test_mutated_graphs(tmp_path):
    path = tmp_path / "mutant.nir"

    @FUZZED
    @given(tree=mutated_tree(GRAPHS, (*ODD_VALUES, *ODD_ARRAYS)))
    def fuzz(tree):
        path.write_bytes(hdf5_of(tree))
        attempt(graph, path)

    fuzz()


def test_mutated_store_entries(tmp_path, capsys):
    """The user's own cache: whatever becomes of a file, the stage is given as it was made."""
    made = Artefact({"x": torch.arange(5.0)}, {"note": ["kept", 1]})
    Cache(tmp_path).get_or_make("stage", {"a": 1}, lambda recorder: made)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    kept = {path: path.read_bytes() for path in files}
    seeds = [kept[path] for path in files]

    @FUZZED
    @given(content=mutated_bytes(seeds), place=sampled_from(files))
    def fuzz(content, place):
        for path, whole in kept.items():
            path.write_bytes(whole)
        place.write_bytes(content)
        started = time.perf_counter()
        found = Cache(tmp_path).get_or_make("stage", {"a": 1}, lambda recorder: made)
        assert time.perf_counter() - started < 5
        assert found.tensors["x"].tolist() == [0, 1, 2, 3, 4]
        assert found.facts["note"] == ["kept", 1]
        capsys.readouterr()

    fuzz()
