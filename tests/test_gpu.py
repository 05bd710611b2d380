"""On a GPU: the same answers as on the CPU, and the same bytes each time."""

import pytest
import torch

from brainleaks import FastSigmoid, Target, exact_on_gpu
from brainleaks.attacks.objectives import negative_log_likelihood
from brainleaks.networks import SpikingConvNet, SpikingMLP
from brainleaks.pipeline import Cache, run_study
from brainleaks.runs import folder as run_folder
from brainleaks.studies import load_study
from gpu import NEEDS_GPU

pytestmark = NEEDS_GPU

QUICK = (
    "target.network.hidden=100",
    "target.training={learning_rate: 0.01, batch_size: 100, epochs: 3, gradient_clip: 1.0}",
    "evaluators.snn-conv.training.epochs=2",
    "draws=20",
    "judging={judge_steps: 40, reconstructions: 1}",
    "attacks.smooth={attack: smooth-inversion, iterations: 5}",
    "attacks.events={attack: pattern-inversion, looks: 3}",
    "attacks.scores={attack: score-evolution, probes: 300, iterations: 5}",
    "attacks.labels={attack: boundary-repulsion, probes: 300, iterations: 5}",
    "attacks.generator={attack: gamin, iterations: 5}",
)


@pytest.fixture(autouse=True)
def exact():
    exact_on_gpu()


def test_convolutions_keep_float32():
    images = torch.rand(50, 12, 20, 20, dtype=torch.float64)
    weights = torch.randn(30, 12, 5, 5, dtype=torch.float64)
    exact = torch.nn.functional.conv2d(images, weights)
    found = torch.nn.functional.conv2d(images.float().cuda(), weights.float().cuda())
    assert (found.cpu() - exact).norm() / exact.norm() < 1e-6


@pytest.mark.parametrize("kind", [SpikingMLP, SpikingConvNet])
def test_networks_answer_as_on_the_cpu(kind):
    torch.manual_seed(0)
    network = kind((1, 16, 16), 6, beta=0.7, surrogate=FastSigmoid(25))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    spikes = (torch.rand(20, 8, 1, 16, 16) < 0.3).float()
    labels = torch.arange(8) % 6

    def asked(device):
        target = Target(network.to(device), input_shape=(1, 16, 16), classes=6)
        inputs = spikes.to(device)
        values, gradient = target.gradient(
            target.entry(inputs), labels.to(device), negative_log_likelihood
        )
        response = target.network(inputs)
        return [part.cpu() for part in (response.spikes, response.membrane, values, gradient)]

    here, there = asked("cpu"), asked("cuda")
    assert 0.01 < here[0].mean() < 0.9
    assert (here[0] != there[0]).float().mean() < 2e-3  # a membrane at the threshold, by rounding
    for a, b in zip(here[1:], there[1:], strict=True):
        assert (a - b).norm() / a.norm() < 0.02


def test_a_study_gives_the_same_bytes(tmp_path):
    def run(name):
        outcome = run_study(
            load_study("demo", QUICK), device="cuda", cache=Cache(tmp_path / f"store-{name}")
        )
        results = run_folder.write(outcome, tmp_path / name)
        files = sorted((tmp_path / name).rglob("*.safetensors"))
        return results, {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in files}

    (results, first), (_, again) = run("one"), run("two")
    assert len(results["attacks"]) == 7
    assert results["target"]["test_accuracy"] > 0.5
    different = [name for name in first if first[name] != again[name]]
    assert first.keys() == again.keys()
    assert not different
