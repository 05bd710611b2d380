"""Small finished runs, each made once for all tests of the report."""

import shutil
from pathlib import Path

import pytest
import torch

from brainleaks.data import Dataset, Samples, digits, digits_events
from brainleaks.files import atomic
from brainleaks.pipeline import Cache, run_study
from brainleaks.report import write_report
from brainleaks.runs import folder as run_folder
from brainleaks.runs import seal
from brainleaks.studies import load_study

JUDGED = ("judging={judge_steps: 60, reconstructions: 1}",)
QUICK = (
    "target.network.hidden=60",
    "target.training.epochs=2",
    "evaluators.snn-conv.training.epochs=1",
    "draws=5",
)
PRINTED = (
    "printed.target_test_accuracy=0.9625",
    "printed.attacks.brainleaks-v1={attack_accuracy: 0.123, top3_accuracy: 1, confidence: 1, "
    "daa: 1}",
)
EVENTS = (
    "frames.frame_us=15000",
    *QUICK,
    "target.training.epochs=1",
    "attacks.brainleaks-v1.iterations=2",
    "attacks.brainleaks-v1.time_steps=20",
    "attacks.brainleaks-v2.iterations=2",
    "attacks.brainleaks-v2.time_steps=20",
    "judging={judge_steps: 2, reconstructions: 1, controls: [noise, class-mean]}",
)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Runs a study with changes and reports it; what runs share is made once."""
    base = tmp_path_factory.mktemp("runs")
    cache = Cache(base / "store")

    def make(name, study, settings, seed=0):
        outcome = run_study(load_study(study, settings), seed=seed, cache=cache)
        run_folder.write(outcome, base / name, write_report)
        return base / name

    return make


@pytest.fixture(scope="session")
def run_settings():
    """What ``run`` changes of the preset."""
    return (*QUICK, *JUDGED, *PRINTED)


@pytest.fixture(scope="session")
def run(make_run, run_settings):
    """Digits as images, with every control and printed figures."""
    return make_run("demo", "demo", run_settings)


@pytest.fixture(scope="session")
def narrow_run(make_run):
    """The same with a smaller target, without controls."""
    judging = "judging={judge_steps: 60, reconstructions: 1, controls: []}"
    return make_run("narrow", "demo", (*QUICK, judging, "target.network.hidden=15"))


@pytest.fixture(scope="session")
def protocol_run(make_run):
    """The same, judged by the protocol's evaluator alone."""
    return make_run("protocol", "demo", (*QUICK, "judging=null"))


@pytest.fixture(scope="session")
def events_run(make_run):
    """Simulated recordings of a few digits."""
    whole = digits.load(Path())
    train, test = (Samples(p.inputs[:60], p.labels[:60]) for p in (whole.train, whole.test))
    few = Dataset("digits", train, test, whole.class_names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits_events, "load_images", lambda folder: few)
        return make_run("events", "digits-events-snn", EVENTS)


@pytest.fixture(scope="session")
def widened():
    """Copies a run with more classes and larger inputs, all of them noise."""

    def copy(run, folder, *, classes, shape, steps):
        shutil.copytree(run, folder)
        results = atomic.read_json(folder / "results.json")
        names = [f"s{i}" for i in range(1, classes + 1)]
        results["dataset"] |= {"classes": classes, "class_names": names, "input_shape": list(shape)}
        for entry in [*results["likeness"].values(), *results["controls"]]:
            for metric in entry["metrics"].values():
                metric["by_class"] = [0.5] * classes
        for attack in results["attacks"]:
            attack["matrix"] = [[1 / classes] * classes] * classes
        atomic.write_json(folder / "results.json", results)
        noise = torch.rand(classes, steps, 1, shape[1] * shape[2]).round()
        for name in ("brainleaks-v1", "brainleaks-v2"):
            path = folder / "reconstructions" / f"{name}.safetensors"
            atomic.write_tensors(path, {"reconstruction": noise})
        atomic.write_tensors(folder / "truth.safetensors", {"inputs": noise})
        evidence = atomic.read_tensors(folder / "evidence.safetensors")
        atomic.write_tensors(
            folder / "evidence.safetensors", {key: torch.rand(classes, *shape) for key in evidence}
        )
        seal(folder)
        return folder

    return copy


@pytest.fixture(scope="session")
def renamed():
    """Copies a run under another study's name, as if it were a run of that."""

    def copy(run, folder, study):
        shutil.copytree(run, folder, dirs_exist_ok=True)
        results, provenance = (folder / f"{name}.json" for name in ("results", "provenance"))
        atomic.write_json(results, atomic.read_json(results) | {"preset": study})
        atomic.write_json(provenance, atomic.read_json(provenance) | {"study": study})
        seal(folder)
        return folder

    return copy
