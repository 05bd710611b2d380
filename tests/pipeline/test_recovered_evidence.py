"""Recovered batches as evidence: from a study to the verdict and the report."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from torch.nn.functional import interpolate

from brainleaks.data import digits
from brainleaks.files.atomic import read_tensors
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.run import prepare
from brainleaks.report import write_report
from brainleaks.report.recovered import over_seeds
from brainleaks.report.summary import interval
from brainleaks.runs import folder
from brainleaks.studies.reading import parse_study


def study(**steps):
    network = {"architecture": "spiking-mlp", "hidden": 400, "beta": 0.7}
    return parse_study(
        "test",
        {
            "name": "step",
            "dataset": "digits",
            "encoding": {"encoding": "rate", "steps": 8},
            "target": {
                "network": network | {"surrogate": {"surrogate": "fast-sigmoid", "slope": 40}},
                "training": {"learning_rate": 1e-3, "batch_size": 50, "epochs": 0},
            },
            "attacks": {"spike-separation": {"attack": "spike-separation"}},
            "judging": None,
            "training_steps": {"batch_size": 2, "batches": 6, **steps},
        },
    )


@pytest.fixture(scope="module")
def data():
    """Digits, three times as large."""
    whole = digits.load(Path())
    parts = {
        part: samples._replace(inputs=interpolate(samples.inputs, scale_factor=3, mode="bilinear"))
        for part, samples in (("train", whole.train), ("test", whole.test))
    }
    return replace(whole, **parts)


@pytest.fixture(scope="module")
def place(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("step")
    folder.write(run_study(study(), cache=Cache(place / "store"), dataset=data), place / "run")
    return place


def test_private_samples_are_level_4(place):
    results = json.loads((place / "run" / "results.json").read_text())
    found = results["evidence"]["recovered-batch"]
    attack = found["attacks"]["spike-separation"]
    assert attack["ranks"] == [16] * 6
    assert attack["whole_batches"] == 6
    assert attack["measures"]["bits"]["value"] == attack["measures"]["label"]["value"] == 1
    assert attack["measures"]["ssim"] == found["limit"]["ssim"]  # nothing can be nearer
    assert attack["controls"]["shuffled-gradient"]["vectors"] == 0
    assert attack["controls"]["other-batch"]["vectors"]["value"] == 0
    assert results["verdict"]["level"] == 4
    assert "obtains 100% of its 2 private samples" in results["verdict"]["sentence"]


def test_the_report_shows_each_sample_beside_what_was_recovered(place):
    page = write_report(place / "run").read_text()
    assert "What a training step gives away" in page
    assert page.count("<figcaption>private</figcaption>") == 2
    assert page.count("<figcaption>recovered</figcaption>") == 2
    images = read_tensors(place / "run" / "recovered-spike-separation.safetensors")["images"]
    assert images.shape == (4, 1, 24, 24)


def test_a_table_of_seeds(place):
    results = json.loads((place / "run" / "results.json").read_text())
    found = over_seeds([results, results], interval)
    assert found["attacks"]["spike-separation"]["whole_batches"] == 12
    assert found["attacks"]["spike-separation"]["measures"]["vectors"]["mean"] == 1
    assert over_seeds([results, {}], interval) is None


def test_the_same_seed_attacks_the_same_batches(place, data):
    """Nothing is computed again where all is there."""
    cache = Cache(place / "store")
    with cache.only_read():
        again = run_study(study(), cache=cache, dataset=data)
    assert again.verdict["level"] == 4
    assert prepare(study(), 0, None, "cpu", cache, data).dataset.fingerprint == data.fingerprint


def test_a_batch_of_unknown_size_comes_back_as_well(place, data):
    unknown = study(batch_size_known=False)
    outcome = run_study(unknown, cache=Cache(place / "store"), dataset=data)
    found = outcome.evidence["recovered-batch"].facts["attacks"]["spike-separation"]
    assert found["measures"]["bits"]["value"] > 0.99


def test_two_batches_decide_nothing(place, data):
    outcome = run_study(study(batches=2), cache=Cache(place / "store"), dataset=data)
    assert outcome.verdict["levels"][3]["status"] == "inconclusive"


def test_federated_averaging_gives_every_epoch_away(place, data):
    """Four local steps of SGD, and each pass has spikes of its own: 4 images x 8 steps x 2."""
    local = {"epochs": 2, "batch_size": 2, "learning_rate": 1e-3}
    averaged = study(batch_size=4, batches=2, local=local)
    outcome = run_study(averaged, cache=Cache(place / "store"), dataset=data)
    facts = outcome.evidence["recovered-batch"].facts
    found = facts["attacks"]["spike-separation"]
    assert facts["seen"] == "the weights after 2 epochs of local training by SGD"
    assert found["ranks"] == [64, 64]
    assert found["measures"]["vectors"]["value"] == found["measures"]["label"]["value"] == 1
    assert found["measures"]["ssim"]["value"] == pytest.approx(facts["limit"]["ssim"]["value"])


def test_secure_aggregation_of_four_devices_hides_nobody(place, data):
    summed = study(batch_size=1, batches=2, clients=4)
    outcome = run_study(summed, cache=Cache(place / "store"), dataset=data)
    facts = outcome.evidence["recovered-batch"].facts
    assert facts["batch_size"] == 4
    assert facts["seen"] == "the sum over 4 devices of the gradient of one training step"
    assert facts["attacks"]["spike-separation"]["measures"]["bits"]["value"] == 1
