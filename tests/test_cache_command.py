"""The commands on the cache, as a user types them."""

import json
import os

import pytest
import torch
from click.testing import CliRunner

from brainleaks import InputError
from brainleaks.cli import cli
from brainleaks.pipeline.cache import Artefact, Cache


@pytest.fixture
def cache(tmp_path):
    root = tmp_path / "cache"
    for a in range(3):
        made = Artefact({"x": torch.zeros(1000)})
        Cache(root).get_or_make("train", {"a": a}, lambda recorder, made=made: made)
    for days, path in enumerate(sorted(root.glob("*.record"))):
        for file in (path, path.with_name(path.stem + ".safetensors")):
            os.utime(file, (days * 86_400, days * 86_400))
    return root


def said(*arguments, status=0):
    done = CliRunner().invoke(cli, ["cache", *map(str, arguments)], standalone_mode=False)
    assert done.exception is None, done.exception
    assert (done.return_value or 0) == status
    return done.output


def test_ls(cache):
    assert said("ls", "--store", cache).splitlines()[-1].startswith("3 stages, ")
    listed = json.loads(said("ls", "--store", cache, "--json"))
    assert len(listed["entries"]) == 3
    assert listed["bytes"] == sum(path.stat().st_size for path in cache.iterdir() if path.is_file())


def test_verify_sets_damaged_stages_aside(cache):
    assert "3 stages, 0 damaged" in said("verify", "--store", cache)
    damaged = next(cache.glob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert "3 stages, 1 damaged" in said("verify", "--store", cache, status=1)
    assert "2 stages, 0 damaged" in said("verify", "--store", cache)
    assert (cache / "damaged" / damaged.name).exists()
    said("prune", "--store", cache)
    assert not (cache / "damaged").exists()


def test_prune(cache):
    names = sorted(path.stem for path in cache.glob("*.record"))
    said("prune", "--store", cache)
    assert len(list(cache.glob("*.record"))) == 3
    said("prune", "--store", cache, "--max-size", "10KB")
    assert sorted(path.stem for path in cache.glob("*.record")) == names[1:]
    said("prune", "--store", cache, "--older-than", "1")
    assert not list(cache.glob("*.record"))


def test_refuses(tmp_path):
    for arguments, message in (
        (("ls", "--store", str(tmp_path / "none")), "no such folder"),
        (("prune", "--max-size", "much"), "expected a size such as"),
    ):
        done = CliRunner().invoke(cli, ["cache", *arguments], standalone_mode=False)
        assert isinstance(done.exception, InputError)
        assert message in str(done.exception)
