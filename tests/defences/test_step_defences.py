"""Defences of what a device sends, beside values worked out by hand, and as attackers see them."""

import doctest
from importlib import import_module

import pytest
import torch

from brainleaks import FastSigmoid, InputError, Target
from brainleaks.attacks.gradients import SpikeSeparation, TrainingStep
from brainleaks.defences import DEFENCES
from brainleaks.defences.noisy_update import NoisyUpdate
from brainleaks.defences.quantised_update import QuantisedUpdate
from brainleaks.defences.sparse_update import SparseUpdate
from brainleaks.networks import SpikingMLP
from brainleaks.studies.reading import parse_study
from brainleaks.training import gradients

NAMES = ("noisy_update", "quantised_update", "sparse_update")


def draw():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", NAMES)
def test_step_defence_examples(name):
    found = doctest.testmod(import_module(f"brainleaks.defences.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
    assert DEFENCES[name.replace("_", "-")].acts == "step"


def test_the_norm_of_all_parameters_is_clipped_and_small_updates_are_not():
    sent = NoisyUpdate(max_norm=1.0, noise=0)(
        {"a": torch.tensor([3.0]), "b": torch.tensor([[4.0]])}, generator=draw()
    )
    assert sent["a"].item() == pytest.approx(0.6)
    assert sent["b"].item() == pytest.approx(0.8)
    small = {"a": torch.tensor([0.3])}
    assert torch.equal(NoisyUpdate(noise=0)(small, generator=draw())["a"], small["a"])


def test_noise_is_relative_to_the_clipping_norm():
    nothing = {"a": torch.zeros(100_000)}
    sent = NoisyUpdate(max_norm=2.0, noise=0.05)(nothing, generator=draw())["a"]
    assert sent.std().item() == pytest.approx(0.1, rel=0.02)


def test_rounding_keeps_the_mean_and_has_so_many_levels():
    gradient = torch.cat([torch.full((50_000,), 0.3), torch.tensor([1.0])])
    sent = QuantisedUpdate(bits=3)({"a": gradient}, generator=draw())["a"]
    assert torch.allclose(sent.unique(), torch.tensor([0.0, 1.0, 3.0]) / 3)  # of -3 to 3 thirds
    assert sent[:-1].mean().item() == pytest.approx(0.3, abs=0.005)
    nothing = QuantisedUpdate()({"a": torch.zeros(3)}, generator=draw())["a"]
    assert not nothing.any()


def test_the_largest_entries_of_each_parameter_are_sent():
    given = {"a": torch.tensor([[1.0, -4.0], [3.0, 2.0]]), "b": torch.tensor([0.1])}
    sent = SparseUpdate(share=0.5)(given, generator=draw())
    assert sent["a"].tolist() == [[0, -4], [3, 0]]
    assert sent["b"].item() == pytest.approx(0.1)


@pytest.fixture(scope="module")
def seen():
    """A network, the spikes of a sample, and the gradient of its loss."""
    torch.manual_seed(0)
    network = SpikingMLP((1, 24, 24), 10, hidden=400, beta=0.7, surrogate=FastSigmoid(40))
    spikes = (torch.rand(8, 1, 1, 24, 24, generator=draw()) < 0.4).float()
    return network, spikes, gradients(network, spikes, torch.tensor([3]))


def separated(seen, defence):
    network, spikes, gradient = seen
    target = Target(network, input_shape=(1, 24, 24), classes=10)
    sent = defence(gradient, generator=draw()) if defence else gradient
    found = SpikeSeparation()(target, TrainingStep(sent, 1, 8))
    true = {vector.bool().numpy().tobytes() for vector in spikes.flatten(0, 1)}
    return found, len(true & {v.numpy().tobytes() for v in found.inputs.flatten(0, 1)})


def test_clipping_alone_hides_nothing(seen):
    found, count = separated(seen, NoisyUpdate(max_norm=1e-3, noise=0))
    assert count == 8
    assert found.exact.all()


def test_behind_little_noise_spikes_come_back_without_a_certificate(seen):
    found, count = separated(seen, NoisyUpdate(noise=1e-5))
    assert count >= 6
    assert not found.exact.any()


def test_behind_much_noise_nothing_comes_back(seen):
    _, count = separated(seen, NoisyUpdate(noise=1e-2))
    assert count == 0


def test_a_step_defence_needs_an_attack_on_steps():
    study = {
        "name": "x",
        "dataset": "digits",
        "encoding": {"encoding": "rate", "steps": 8},
        "target": {
            "network": {"architecture": "spiking-mlp", "hidden": 20, "beta": 0.7}
            | {"surrogate": {"surrogate": "fast-sigmoid", "slope": 40}},
            "training": {"learning_rate": 1e-3, "batch_size": 50, "epochs": 1},
        },
        "attacks": {"lira": {"attack": "lira"}},
        "judging": None,
        "defences": [{"name": "sparse-update"}],
    }
    with pytest.raises(InputError, match="sparse-update acts on what is sent of a training step"):
        parse_study("x", study)
    study["attacks"] = {"spike-separation": {"attack": "spike-separation"}}
    assert parse_study("x", study).defences[0].share == 0.1
