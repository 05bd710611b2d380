import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from brainleaks import ArcTan
from brainleaks.data import Samples
from brainleaks.data.encoding import RateCode, as_images
from brainleaks.files import atomic
from brainleaks.networks import ConvNet, SpikingConvNet
from brainleaks.pipeline.cache import Artefact, Cache
from brainleaks.pipeline.inventory import verify
from brainleaks.pipeline.keys import digest
from brainleaks.training import Recipe, fit


def test_made_once_per_key(tmp_path):
    made = []

    def make(recorder):
        made.append(1)
        return Artefact({"x": torch.arange(3)}, {"note": "kept"})

    cache = Cache(tmp_path)
    for key in ({"a": 1}, {"a": 1}, {"a": 2}):
        artefact = cache.get_or_make("stage", key, make)
        assert artefact.tensors["x"].tolist() == [0, 1, 2]
        assert artefact.facts["note"] == "kept"
    assert len(made) == 2


def test_a_stage_that_was_cut_off_goes_on_from_its_checkpoint(tmp_path):
    def make(recorder, fail=True):
        state = recorder.resume({"total": torch.zeros(())})
        for i in recorder.remaining(4):
            if fail and i == 2:
                raise KeyboardInterrupt
            state = {"total": state["total"] + i}
            recorder._saved_at = float("-inf")
            recorder.advance(i, state, total=float(state["total"]))
        return Artefact(state)

    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        cache.get_or_make("stage", {}, make)
    assert [p.suffix for p in tmp_path.iterdir() if p.is_file()] == [".checkpoint"]
    artefact = cache.get_or_make("stage", {}, lambda recorder: make(recorder, fail=False))
    assert artefact.tensors["total"] == 6
    assert [point["total"] for point in artefact.facts["curve"]] == [0, 1, 3, 6]
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.mark.parametrize("network", [ConvNet, SpikingConvNet])
def test_a_convolutional_training_goes_on_to_the_same_weights(tmp_path, network):
    """Its weights lie in another memory order than they are stored in."""
    neuron = {"beta": 0.7, "surrogate": ArcTan()} if network is SpikingConvNet else {}
    samples = Samples(torch.rand(40, 1, 16, 16), torch.arange(40) % 3)
    encode = RateCode(4) if network.spiking else as_images

    def make(recorder, stop_after=None):
        torch.manual_seed(0)
        trained = network((1, 16, 16), 3, **neuron)
        advance = recorder.advance

        def advance_and_stop(epoch, state, **headline):
            recorder._saved_at = float("-inf")
            advance(epoch, state, **headline)
            if epoch + 1 == stop_after:
                raise KeyboardInterrupt

        recorder.advance = advance_and_stop
        recipe = Recipe(learning_rate=0.01, batch_size=10, epochs=4)
        generator = torch.Generator().manual_seed(1)
        fit(trained, samples, recipe, encode=encode, generator=generator, monitor=recorder)
        return Artefact(dict(trained.state_dict()))

    whole = Cache(tmp_path / "a").get_or_make("stage", {}, make)
    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path / "b").get_or_make("stage", {}, lambda recorder: make(recorder, 2))
    resumed = Cache(tmp_path / "b").get_or_make("stage", {}, make)
    assert all(torch.equal(whole.tensors[k], resumed.tensors[k]) for k in whole.tensors)


def made_of(key):
    generator = torch.Generator().manual_seed(key["a"])
    return Artefact({"x": torch.rand(50, generator=generator)}, {"accuracy": 0.1 * key["a"]})


def fill(root, count=5):
    """A store of a few artefacts, and the bytes of its tensors."""
    cache = Cache(root)
    keys = [{"a": a} for a in range(count)]
    for key in keys:
        cache.get_or_make("stage", key, lambda recorder, key=key: made_of(key))
    return keys, contents(root)


def contents(root):
    return {p.name: p.read_bytes() for p in root.glob("*.safetensors")}


def stored(root):
    return sorted(p for ending in ("*.safetensors", "*.record") for p in root.glob(ending))


def remade(root, key):
    """Ask for an artefact; whether it had to be made."""
    calls = []

    def make(recorder):
        calls.append(key)
        return made_of(key)

    artefact = Cache(root).get_or_make("stage", key, make)
    assert artefact.facts["accuracy"] == 0.1 * key["a"]
    return bool(calls)


def test_a_flipped_byte_is_found_and_healed_in_100_of_100_tries(tmp_path, capsys):
    keys, before = fill(tmp_path)
    rng = np.random.default_rng(0)
    for _ in range(100):
        path = stored(tmp_path)[rng.integers(10)]
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(content))
        assert not all(whole for _, whole in verify(tmp_path))
        assert sum(remade(tmp_path, key) for key in keys) == 1
        assert path.name in capsys.readouterr().err
        assert contents(tmp_path) == before
        assert (tmp_path / "damaged" / path.name).exists()
    assert all(whole for _, whole in verify(tmp_path))


def cut(paths):
    paths[0].write_bytes(paths[0].read_bytes()[:20])


def empty(paths):
    paths[1].write_bytes(b"")


def swap(paths):
    """Another artefact's files, whole, under this one's name."""
    for mine, other in ((0, 2), (1, 3)):
        paths[mine].write_bytes(paths[other].read_bytes())


@pytest.mark.parametrize(
    "harm", [cut, empty, swap, lambda paths: paths[0].unlink(), lambda paths: paths[1].unlink()]
)
def test_what_is_cut_off_swapped_or_half_is_made_again(tmp_path, harm):
    keys, before = fill(tmp_path, 2)
    harm(stored(tmp_path))
    for key in keys:
        artefact = Cache(tmp_path).get_or_make("stage", key, lambda r, key=key: made_of(key))
        assert torch.equal(artefact.tensors["x"], made_of(key).tensors["x"])
    assert contents(tmp_path) == before


def test_a_damaged_checkpoint_is_set_aside_and_begun_anew(tmp_path, capsys):
    path = tmp_path / f"stage-{digest({})}.checkpoint"
    path.write_bytes(b"half a checkpoint")

    def make(recorder):
        return Artefact(recorder.resume({"x": torch.zeros(())}))

    assert Cache(tmp_path).get_or_make("stage", {}, make).tensors["x"] == 0
    assert f"{path.name} is damaged" in capsys.readouterr().err
    assert (tmp_path / "damaged" / path.name).exists()


TWO = """
import sys, time
from pathlib import Path
import torch
from brainleaks.pipeline.cache import Artefact, Cache

def make(recorder):
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    time.sleep(2)
    return Artefact({"x": torch.arange(3)})

print(Cache(Path(sys.argv[1])).get_or_make("train:target", {"a": 1}, make).tensors["x"].tolist())
"""


def test_two_processes_on_one_stage_make_it_once(tmp_path):
    command = [sys.executable, "-c", TWO, str(tmp_path / "store"), str(tmp_path / "log")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [out for out, _ in said] == ["[0, 1, 2]\n"] * 2
    assert (tmp_path / "log").read_text() == "made\n"
    assert sum("another process is making it" in err for _, err in said) == 1


def test_a_process_that_dies_leaves_its_stage_to_the_next(tmp_path):
    command = [sys.executable, "-c", TWO, str(tmp_path / "store"), str(tmp_path / "log")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE)
    while not (tmp_path / "log").exists():
        time.sleep(0.05)
    first.kill()
    first.communicate()
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"[0, 1, 2]\n"


def test_scratch_files_of_dead_processes_are_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine = atomic.scratch_path(tmp_path / "a.record")
    theirs = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
    elsewhere = theirs.with_name(f".a.record.00000000-{dead.pid}-00000000.unfinished")
    for path in (mine, theirs, elsewhere):
        path.write_bytes(b"")
    Cache(tmp_path).get_or_make("stage", {}, lambda recorder: Artefact({}))
    assert [path.exists() for path in (mine, theirs, elsewhere)] == [True, False, True]


def test_a_log_gets_a_line_of_progress_at_times(tmp_path, monkeypatch, capsys):
    """Of five iterations of 20 seconds each, those that end half a minute after the last line."""
    clock = iter(range(0, 10_000, 20))
    now = [0.0]
    monkeypatch.setattr("brainleaks.pipeline.progress.time.perf_counter", lambda: now[0])

    def make(recorder):
        for i in recorder.remaining(5):
            now[0] = next(clock) + 20
            recorder.advance(i, {"x": torch.zeros(())}, loss=0.5)
        return Artefact({})

    Cache(tmp_path).get_or_make("train:target", {}, make)
    assert capsys.readouterr().err.splitlines() == [
        "train:target: 2/5 [00:40<01:00, 20.00s/it, loss=0.5]",
        "train:target: 4/5 [01:20<00:20, 20.00s/it, loss=0.5]",
    ]
