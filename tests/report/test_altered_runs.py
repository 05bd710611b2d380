"""Run folders that were damaged or edited: found where they are read, and never shown.

``BRAINLEAKS_FUZZ`` is how many edited folders are read; a twentieth of them is reported.
"""

import json
import os
import random
import shutil
from copy import deepcopy

import pytest
import torch
from click.testing import CliRunner

from brainleaks import InputError
from brainleaks.cli import cli
from brainleaks.files import atomic
from brainleaks.report import read_run, write_comparison, write_report
from brainleaks.runs import read_results, seal
from brainleaks.runs.rejudge import evaluate_file
from brainleaks.runs.release import export

MUTANTS = int(os.environ.get("BRAINLEAKS_FUZZ", "200"))
_ODD = [None, True, -1, 0, 3.5, 10**30, 1e308, "", "x" * 2000, "$x^$", "\x1b[2J", [], [[]], {}]


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


def reconstruction(folder):
    return folder / "reconstructions" / "brainleaks-v1.safetensors"


def readers(folder, tmp_path):
    yield lambda: write_report(folder)
    yield lambda: write_comparison([folder, folder], tmp_path / "page.html")
    yield lambda: evaluate_file(reconstruction(folder), folder, device="cpu")
    yield lambda: export(folder, tmp_path / "release")


def test_a_changed_byte_of_any_file_is_found(copy, tmp_path):
    chance = random.Random(0)
    files = [p for p in copy.rglob("*") if p.is_file() and p.name != "digests.json"]
    for path in files:
        content = bytearray(path.read_bytes())
        place = chance.randrange(len(content))
        content[place] ^= 1 << chance.randrange(8)
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{path.name} is not what was written"):
            read_results(copy)
        path.write_bytes(kept)
    assert read_results(copy)["seed"] == 0


@pytest.mark.parametrize("reader", range(4))
def test_every_reader_refuses_altered_numbers(copy, tmp_path, reader):
    results = atomic.read_json(copy / "results.json")
    results["attacks"][0]["attack_accuracy"] = 0.0
    atomic.write_json(copy / "results.json", results)
    with pytest.raises(InputError, match=r"results\.json is not what was written since the run"):
        list(readers(copy, tmp_path))[reader]()


def test_a_file_that_was_added_or_removed_is_found(copy):
    (copy / "evaluators" / "other.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"other\.safetensors was added or removed"):
        read_results(copy)
    (copy / "evaluators" / "other.safetensors").unlink()
    reconstruction(copy).unlink()
    with pytest.raises(InputError, match=r"brainleaks-v1\.safetensors was added or removed"):
        read_results(copy)


def test_a_report_that_was_changed_is_made_again(copy):
    made = (copy / "report.html").read_bytes()
    (copy / "report.html").write_bytes(made + b"<!-- edited -->")
    with pytest.raises(InputError, match=r"report\.html is not what was written"):
        read_results(copy)
    write_report(copy)
    assert (copy / "report.html").read_bytes() == made
    assert read_results(copy)


def test_digests_name_no_file_outside(copy):
    stated = atomic.read_json(copy / "digests.json")
    stated["sha256"]["../other"] = "0" * 64
    (copy.parent / "other").write_text("secret")
    atomic.write_json(copy / "digests.json", stated)
    with pytest.raises(InputError, match=r"other was added or removed"):
        read_results(copy)


def test_a_run_of_an_older_version_is_read_with_a_warning(copy, tmp_path):
    (copy / "digests.json").unlink()
    done = CliRunner().invoke(cli, ["report", str(copy)])
    assert done.exit_code == 0
    assert done.stderr.count("not verified") == 1
    assert not (copy / "digests.json").exists()  # what nobody checked gets no digest


def test_numbers_have_one_order(copy):
    results = json.loads((copy / "results.json").read_text())
    backwards = dict(reversed(results.items()))
    atomic.write_json(copy / "results.json", backwards)
    seal(copy)
    assert json.dumps(read_results(copy)) == json.dumps(results)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("reconstructions/brainleaks-v1", lambda v: v * torch.nan, "not finite"),
        ("reconstructions/brainleaks-v1", lambda v: v[:3], "has shape"),
        ("truth", lambda v: v[..., :5], "has shape"),
        ("truth", lambda v: torch.zeros(()), "expected an array"),
        ("evidence", lambda v: v[0], "of shape"),
    ],
)
def test_tensors_that_no_run_has_are_refused(copy, name, change, said):
    path = copy / f"{name}.safetensors"
    tensors = {key: change(value) for key, value in atomic.read_tensors(path).items()}
    atomic.write_tensors(path, tensors)
    seal(copy)
    with pytest.raises(InputError, match=said):
        write_report(copy)


def places(content, path=()):
    """Where values lie in JSON."""
    yield path
    pairs = {dict: dict.items, list: enumerate}.get(type(content), lambda _: ())(content)
    for key, value in pairs:
        yield from places(value, (*path, key))


def edited(content, chance):
    """One or two values made odd, removed or repeated."""
    for _ in range(chance.randint(1, 2)):
        *way, last = chance.choice([path for path in places(content) if path])
        inside = content
        for key in way:
            inside = inside[key]
        if isinstance(inside, list) and chance.random() < 0.3:
            inside.append(deepcopy(inside[last]))
        elif chance.random() < 0.2:
            del inside[last]
        else:
            inside[last] = deepcopy(chance.choice(_ODD))
    return content


def test_edited_numbers_with_digests_to_match_are_shown_or_refused(copy, monkeypatch):
    """Never a traceback: whoever edits a folder can write its digests as well."""
    monkeypatch.setattr("brainleaks.report.page.write_grid", lambda *_: None)  # half of the time
    kept = {name: atomic.read_json(copy / f"{name}.json") for name in ("results", "provenance")}
    refused = shown = 0
    for seed in range(MUTANTS):
        chance = random.Random(seed)
        name = chance.choice(("results", "results", "provenance"))
        for other, content in kept.items():
            atomic.write_json(copy / f"{other}.json", content)
        odd = edited(json.loads(json.dumps(kept[name])), chance)
        atomic.write_text(copy / f"{name}.json", json.dumps(odd))
        seal(copy)
        try:
            read_run(copy)
            if shown < MUTANTS / 20:
                write_report(copy)
            shown += 1
        except InputError:
            refused += 1
    assert refused
    assert shown
