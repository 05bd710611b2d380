"""The command line as a user meets it."""

import io
import json
import os
import pickle
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch

from brainleaks.attacks import ATTACKS
from brainleaks.campaigns.collection import collection
from brainleaks.cli import catalogue, main
from brainleaks.data import DATASETS
from brainleaks.runs import seal
from brainleaks.studies import load_study, preset_names
from brainleaks.studies.reading import COLLECTIONS

QUICK = [
    "--set", "target.network.hidden=60",
    "--set", "target.training.epochs=3",
    "--set", "target.training.learning_rate=0.01",
    "--set", "evaluators.snn-conv.training.epochs=2",
    "--set", "draws=20",
    "--set", "judging=null",
]  # fmt: skip


def process(*arguments, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "brainleaks", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=300,
    )


def brainleaks(*arguments) -> SimpleNamespace:
    """The command in this process, which spares it the start."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["brainleaks", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return SimpleNamespace(
        returncode=ended.value.code, stdout=out.getvalue(), stderr=err.getvalue()
    )


def refused(*arguments) -> str:
    """Runs what must be refused: one sentence on stderr, status 2, nothing on stdout."""
    done = brainleaks(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("brainleaks: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("cli")
    done = process(
        "run", "demo", *QUICK, "--out", base / "run", BRAINLEAKS_STORE=str(base / "store")
    )
    assert done.returncode == 0, done.stderr
    assert "brainleaks-v2" in done.stdout
    assert "Inconclusive: there is not enough evidence for a verdict." in done.stdout
    assert "(judging: null); only the study's evaluators judged" in done.stdout
    assert done.stdout.startswith(
        "demo, seed 0. A spiking digit classifier on scikit-learn's digits"
    )
    assert done.stderr == ""
    return base / "run"


def test_list():
    done = process("list")
    assert done.returncode == 0
    for word in ("faces-snn", "att-faces", "digits", "brainleaks-v1", "fredrikson", "gradients"):
        assert word in done.stdout
    listing = json.loads(brainleaks("list", "--json").stdout)
    assert listing["attacks"]["brainleaks-v1"]["access"] == "gradients"


def test_run_json(finished, tmp_path):
    """One JSON object on stdout and nothing else, with the promised fields."""
    cache = str(finished.parent / "store")
    done = process("run", "demo", *QUICK, "--out", tmp_path / "r", "--json", BRAINLEAKS_STORE=cache)
    assert done.returncode == 0
    results = json.loads(done.stdout)
    assert results["run_dir"] == str(tmp_path / "r")
    assert results["preset"] == "demo"
    assert results["seed"] == 0
    assert {"name", "classes", "fingerprint"} <= results["dataset"].keys()
    assert {"family", "train_accuracy", "test_accuracy", "seconds"} <= results["target"].keys()
    assert {"name", "test_accuracy"} <= results["evaluators"][0].keys()
    wanted = {"name", "attack_accuracy", "top3_accuracy", "confidence", "daa", "seconds"}
    assert all(wanted <= entry.keys() for entry in results["attacks"])
    assert (tmp_path / "r" / "report.html").is_file()


def test_report_again(finished):
    (finished / "report.html").unlink()
    assert brainleaks("report", finished).stdout.strip() == str(finished / "report.html")
    assert (finished / "report.html").is_file()


def test_evaluate_own_reconstructions(finished, tmp_path):
    """Judged from the file as they were in the run: the same numbers."""
    results = json.loads((finished / "results.json").read_text())
    for entry in results["attacks"]:
        path = finished / "reconstructions" / f"{entry['name']}.safetensors"
        done = brainleaks("evaluate", path, "--run", finished, "--json")
        (found,) = json.loads(done.stdout)["attacks"]
        for key in ("attack_accuracy", "top3_accuracy", "confidence", "daa", "draws", "matrix"):
            assert found.get(key) == entry.get(key)
        released = tmp_path / "Inverted_BL"
        torch.save(safetensors.torch.load_file(path)["reconstruction"], released)
        again = brainleaks("evaluate", released, "--run", finished, "--json")
        assert json.loads(again.stdout)["attacks"][0]["matrix"] == entry["matrix"]


def test_columns_of_long_names_stay_apart(finished, tmp_path):
    """The release's names are longer than the attacks'."""
    released = brainleaks("export", finished, "--out", tmp_path / "release").stdout.splitlines()
    head, row, *_ = brainleaks("evaluate", released[-1], "--run", finished).stdout.splitlines()
    assert row.split()[:2] == ["digits_SNN_Inverted_BL2", "snn-conv"]
    assert row.index("snn-conv") == head.index("evaluator")


def test_export_and_attack_what_was_exported(finished, tmp_path):
    done = brainleaks("export", finished, "--format", "release", "--out", tmp_path / "release")
    files = [Path(line) for line in done.stdout.splitlines()]
    assert files[0] == tmp_path / "release" / "digits_SNN_Weights_Target"
    assert all(file.is_file() for file in files)
    options = ("--target-weights", files[0], "--out", tmp_path / "run")
    cache = str(finished.parent / "store")
    done = process("run", "demo", *QUICK, *options, BRAINLEAKS_STORE=cache)
    assert done.returncode == 0, done.stderr
    assert "weights from digits_SNN_Weights_Target" in done.stdout
    before, after = (
        json.loads((folder / "results.json").read_text()) for folder in (finished, tmp_path / "run")
    )
    assert [e["matrix"] for e in before["attacks"]] == [e["matrix"] for e in after["attacks"]]


def test_target_weights_are_refused(finished, tmp_path):
    name, out = "--target-weights", tmp_path / "run"
    assert "no such file" in refused("run", "demo", name, tmp_path / "none", "--out", out)
    target = finished / "target.safetensors"
    message = refused("run", "demo", *QUICK, name, target, "--out", finished)
    assert "which this run replaces" in message
    message = refused("run", "demo", name, target, "--out", out)
    assert "fc1.weight is (60, 64), expected (3000, 64)" in message


def test_export_refuses(finished, tmp_path):
    assert "not a finished run" in refused("export", tmp_path, "--format", "release")
    assert "is not 'release'" in refused("export", finished, "--format", "nir")


def test_evaluate_images(finished, tmp_path):
    truth = safetensors.torch.load_file(finished / "truth.safetensors")["inputs"]
    torch.save(truth, tmp_path / "truth")
    done = brainleaks("evaluate", tmp_path / "truth", "--run", finished)
    assert done.returncode == 0, done.stderr
    assert "truth" in done.stdout


def test_data_commands():
    for command in ("fetch", "check"):
        done = brainleaks("data", command, "digits")
        assert done.returncode == 0
        assert "1,438 training" in done.stdout


class _Harmful:
    def __reduce__(self):
        return (os.system, ("touch harm",))


BAD_TENSORS = {
    "wrong-classes": (
        torch.zeros(9, 25, 1, 64),
        "has shape (9, 25, 1, 64); expected (10, T, 1, 64)",
    ),
    "wrong-size": (torch.zeros(10, 1, 63), "has shape (10, 1, 63)"),
    "no-time": (torch.zeros(10, 0, 1, 64), "has shape (10, 0, 1, 64)"),
    "nan": (torch.full((10, 1, 64), torch.nan), "not finite"),
    "infinite": (torch.full((10, 1, 64), torch.inf), "not finite"),
    "too-large": (torch.full((10, 25, 1, 64), 2.0), "values from 2 to 2; expected 0 to 1"),
    "negative": (torch.full((10, 25, 1, 64), -1), "values from -1 to -1"),
    "complex": (torch.zeros(10, 1, 64, dtype=torch.complex64), "expected a dense one"),
    "half-floats": (torch.zeros(10, 1, 64).to(torch.float8_e5m2), "expected a dense one"),
    "sparse": (torch.zeros(10, 64).to_sparse(), "expected a dense one"),
    "overflow": (torch.full((10, 1, 64), 1e300, dtype=torch.float64), "not finite"),
    "dictionary": ({"x": torch.zeros(10, 1, 64)}, "holds a dict; expected one plain tensor"),
    "harmful": (_Harmful(), "unpickling it could run"),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_evaluate_refuses(finished, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value, message = BAD_TENSORS[name]
    torch.save(value, tmp_path / "file")
    assert message in refused("evaluate", tmp_path / "file", "--run", finished)
    assert not (tmp_path / "harm").exists()


def test_evaluate_refuses_other_files(finished, tmp_path):
    (tmp_path / "p").write_bytes(pickle.dumps([1, 2, 3]))
    (tmp_path / "empty").touch()
    for name in ("p", "empty"):
        assert "not a complete safetensors file" in refused(
            "evaluate", tmp_path / name, "--run", finished
        )
    safetensors.torch.save_file({"a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "two")
    assert "holds 2 tensors (a, b)" in refused("evaluate", tmp_path / "two", "--run", finished)
    assert "no such file" in refused("evaluate", tmp_path / "none", "--run", finished)
    torch.save(torch.zeros(10, 1, 64), tmp_path / "cut")
    content = (tmp_path / "cut").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    refused("evaluate", tmp_path / "cut", "--run", finished)
    assert "not a finished run" in refused("evaluate", tmp_path / "cut", "--run", tmp_path)


def test_evaluate_reads_torchs_format_of_before_1_6(finished, tmp_path):
    torch.save(torch.zeros(10, 1, 64), tmp_path / "old", _use_new_zipfile_serialization=False)
    done = brainleaks("evaluate", tmp_path / "old", "--run", finished)
    assert done.returncode == 0, done.stderr
    assert "old     snn-conv" in done.stdout


def test_evaluate_refuses_weights_of_another_architecture(finished, tmp_path):
    import shutil

    shutil.copytree(finished, tmp_path / "run")
    shutil.copy(
        tmp_path / "run" / "target.safetensors",
        tmp_path / "run" / "evaluators" / "snn-conv.safetensors",
    )
    seal(tmp_path / "run")
    file = finished / "reconstructions" / "brainleaks-v1.safetensors"
    message = refused("evaluate", file, "--run", tmp_path / "run")
    assert "weights of another architecture: conv1.weight is absent" in message
    (tmp_path / "run" / "evaluators" / "snn-conv.safetensors").unlink()
    assert "snn-conv.safetensors was added or removed" in refused(
        "evaluate", file, "--run", tmp_path / "run"
    )


def test_run_refuses(tmp_path, monkeypatch):
    assert "Did you mean demo" in refused("run", "dmo")
    assert "no such folder" in refused("run", "faces-snn", "--data-dir", tmp_path / "none")
    monkeypatch.setenv("BRAINLEAKS_DATA", str(tmp_path / "none"))
    assert "BRAINLEAKS_DATA" in refused("run", "faces-snn")
    assert "unknown field" in refused("run", "demo", "--set", "target.training.speed=3")
    assert "--seed" in refused("run", "demo", "--seed", "x")
    assert "No such option" in refused("run", "demo", "--fast")
    assert "No such command" in refused("fly")
    (tmp_path / "file").touch()
    assert "cannot write" in refused("run", "demo", "--out", tmp_path / "file" / "run")
    assert "is a file" in refused("run", "demo", "--out", tmp_path / "file")


def test_run_refuses_broken_data(tmp_path):
    (tmp_path / "att_faces").mkdir()
    (tmp_path / "att_faces" / "att_faces.zip").write_bytes(b"PK\x03\x04 and then nothing")
    message = refused("run", "faces-snn", "--data-dir", tmp_path, "--out", tmp_path / "out")
    assert "damaged, incomplete or encrypted archive" in message
    assert not (tmp_path / "out").exists()


def test_no_network(tmp_path, monkeypatch):
    """A proxy that does not answer stands for a network that is not there."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    message = refused("data", "fetch", "att-faces", "--data-dir", tmp_path)
    assert "cannot download" in message
    assert not any(p.is_file() for p in tmp_path.rglob("*"))


def test_data_refuses(tmp_path):
    assert "Did you mean att-faces" in refused("data", "check", "att-face")
    assert "data fetch att-faces" in refused("data", "check", "att-faces", "--data-dir", tmp_path)


def test_report_refuses(tmp_path):
    assert "not a finished run" in refused("report", tmp_path)
    (tmp_path / "results.json").write_text("{")
    assert "Invalid JSON" in refused("report", tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_broken_output_is_no_traceback(finished):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "brainleaks", "list", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_the_listing_says_what_the_package_has():
    """It is read from files, so that it needs no torch; this compares it with what is imported."""
    presets = {name: load_study(name).description.strip() for name in preset_names()}
    presets |= {name: collection(name).description.strip() for name in COLLECTIONS}
    assert catalogue.presets() == presets
    documented = {name: (source.__doc__ or "").split("\n")[0] for name, source in DATASETS.items()}
    assert catalogue.data_sets() == documented
    found = catalogue.attacks()
    assert found.keys() == {*ATTACKS, "within-prior"}
    for name, attack in ATTACKS.items():
        kinds = {True: "spiking", False: "ordinary", None: "either"}
        assert found[name]["access"] == attack.access
        assert found[name]["networks"] == kinds[attack.spiking]
        assert found[name]["description"] == attack.__doc__.split("\n")[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell):
    asked = {"COMP_WORDS": "brainleaks au", "COMP_CWORD": "au" if shell == "fish" else "1"}
    environment = os.environ | {"_BRAINLEAKS_COMPLETE": f"{shell}_complete", **asked}
    command = [Path(sys.executable).with_name("brainleaks")]  # its name tells click the variable
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0
    assert "audit" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("list",), ("audit", "--help")])
def test_what_only_prints_brings_no_torch(arguments):
    code = (
        "import sys; from brainleaks.cli import cli; "
        f"cli({arguments!r}, standalone_mode=False); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
