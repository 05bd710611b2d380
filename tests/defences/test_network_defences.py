"""Defences of weights, neurons and answers, beside values worked out by hand."""

import copy
import doctest
from importlib import import_module

import numpy as np
import pytest
import torch

from brainleaks import FastSigmoid, InputError, Target
from brainleaks.data import Samples, SpikeTrains
from brainleaks.defences import DEFENCES, Undoable, acting
from brainleaks.defences.pruning import Pruning
from brainleaks.defences.quantisation import Quantisation
from brainleaks.defences.redraw_dead_inputs import RedrawDeadInputs, silent_inputs
from brainleaks.defences.rounded_scores import RoundedScores
from brainleaks.defences.temperature import Temperature
from brainleaks.defences.threshold_noise import ThresholdNoise
from brainleaks.defences.top_1 import Top1
from brainleaks.networks import MLP, SpikingConvNet, SpikingMLP
from brainleaks.neuron import LIF, RecurrentLIF

EXAMPLES = ("pruning", "quantisation", "rounded_scores", "temperature", "top_1")


@pytest.mark.parametrize("name", EXAMPLES)
def test_defence_examples(name):
    found = doctest.testmod(import_module(f"brainleaks.defences.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


def test_every_defence_is_found_and_says_what_it_acts_on():
    acts = {name: defence.acts for name, defence in DEFENCES.items()}
    assert acts["quantisation"] == "weights"
    assert acts["top-1"] == "answers"
    assert acts["dp-sgd"] == "training"
    assert all(defence.version >= 1 for defence in DEFENCES.values())
    assert acting([Top1(), Quantisation()], "weights") == [Quantisation()]


def test_quantisation_by_hand():
    """Three bits have the levels -3 to 3; the largest weight of a row is the third."""
    weight = torch.tensor([[0.3, -0.14, 0.04], [0.0, 0.0, 0.0], [-6.0, 2.9, 1.1]])
    expected = torch.tensor([[0.3, -0.1, 0.0], [0.0, 0.0, 0.0], [-6.0, 2.0, 2.0]])
    torch.testing.assert_close(Quantisation(bits=3).rounded(weight), expected)
    whole = Quantisation(bits=3, per="tensor").rounded(weight)
    torch.testing.assert_close(whole[2], torch.tensor([-6.0, 2.0, 2.0]))
    assert not whole[:2].any()


def test_defended_weights_are_copies_and_biases_stay(small_snn):
    before = copy.deepcopy(small_snn.state_dict())
    for defence in (Quantisation(bits=2), Pruning(share=0.9)):
        network = defence(small_snn)
        assert not torch.equal(network.fc1.weight, small_snn.fc1.weight)
        assert torch.equal(network.fc1.bias, small_snn.fc1.bias)
    assert all(torch.equal(value, before[name]) for name, value in small_snn.state_dict().items())


def test_pruning_removes_the_smallest():
    network = MLP((1, 1, 4), 2, hidden=1)
    network.fc1.weight.data = torch.tensor([[0.4, -0.1, 0.2, -0.3]])
    pruned = Pruning(share=0.5)(network)
    assert pruned.fc1.weight.tolist() == [[pytest.approx(0.4), 0, 0, pytest.approx(-0.3)]]


def test_only_weights_of_dead_inputs_are_redrawn():
    torch.manual_seed(0)
    images = torch.rand(9, 1, 4, 5)
    images[:, 0, 0, :3] = 0
    network = SpikingMLP((1, 4, 5), 3, hidden=30, beta=0.7, surrogate=FastSigmoid(40))
    samples = Samples(images, torch.zeros(9, dtype=torch.long))
    redrawn = RedrawDeadInputs()(network, samples, generator=torch.Generator().manual_seed(1))
    changed = (redrawn.fc1.weight != network.fc1.weight).any(0)
    assert changed.tolist() == [True] * 3 + [False] * 17
    new = redrawn.fc1.weight[:, :3].detach()
    assert float(new.abs().max()) <= 20**-0.5
    assert float(new.std()) == pytest.approx(20**-0.5 / 3**0.5, rel=0.15)
    spikes = torch.bernoulli(images.expand(6, *images.shape))
    torch.testing.assert_close(redrawn(spikes).membrane, network(spikes).membrane)


def test_inputs_that_never_fire_in_recordings():
    pixels = np.array([1, 3, 1], np.uint16)
    trains = SpikeTrains(pixels, np.array([0, 2, 3]), np.array([0, 1, 2]), (1, 2, 2))
    silent = silent_inputs(Samples(trains, torch.tensor([0, 1])))
    assert silent.tolist() == [[[True, False], [True, False]]]


def test_redrawing_needs_a_fully_connected_first_layer():
    network = SpikingConvNet((1, 28, 28), 3, beta=0.7, surrogate=FastSigmoid(40))
    samples = Samples(torch.rand(2, 1, 28, 28), torch.tensor([0, 1]))
    with pytest.raises(InputError, match="redraw-dead-inputs needs a first layer"):
        RedrawDeadInputs()(network, samples)


def noisy_threshold(current, noise, beta, threshold):
    """The recursion in a loop, with another threshold in each step."""
    membrane, spike, spikes = torch.zeros_like(current[0]), torch.zeros_like(current[0]), []
    for step, fluctuation in zip(current, noise, strict=True):
        membrane = beta * membrane + step - threshold * spike
        spike = (membrane > threshold + fluctuation).to(current.dtype)
        spikes.append(spike)
    return torch.stack(spikes)


def test_threshold_noise_is_noise_on_the_threshold():
    layer = torch.nn.Sequential(LIF(beta=0.8, surrogate=FastSigmoid(25)))
    noisy = ThresholdNoise(deviation=0.3)(layer, generator=torch.Generator().manual_seed(5))
    current = torch.rand(40, 3, 50, dtype=torch.float64)
    spikes, membrane = noisy(current)
    ((hook, *_),) = (list(m._forward_hooks.values()) for m in noisy.modules() if isinstance(m, LIF))
    noise = hook.__self__._drawn
    assert torch.equal(spikes, noisy_threshold(current, noise, 0.8, 1.0))
    assert float(noise.std()) == pytest.approx(0.3, rel=0.05)
    assert not torch.equal(spikes, layer(current)[0])
    assert torch.equal(spikes, (membrane > 1 + noise).double())


def test_noise_is_drawn_again_and_every_copy_begins_alike():
    layer = RecurrentLIF(10, beta=0.8, surrogate=FastSigmoid(25))
    noisy = ThresholdNoise(deviation=1.0)(layer, generator=torch.Generator().manual_seed(5))
    current = torch.rand(20, 3, 10)
    first, second = noisy(current)[0], noisy(current)[0]
    assert not torch.equal(first, second)
    again = copy.deepcopy(noisy)
    assert torch.equal(again(current)[0], first)
    assert torch.equal(again(current)[0], second)
    assert noisy.state_dict().keys() == layer.state_dict().keys()


def test_threshold_noise_needs_neurons():
    with pytest.raises(InputError, match="threshold-noise needs spiking neurons"):
        ThresholdNoise()(MLP((1, 2, 2), 2, hidden=3))


def test_answers_are_told_to_those_without_the_weights_alone(small_snn):
    spikes = torch.bernoulli(torch.full((10, 7, 1, 4, 5), 0.5))
    shape = {"input_shape": (1, 4, 5), "classes": 6}
    plain = Target(small_snn, **shape).scores(spikes)
    told = Target(small_snn, **shape, answers=[RoundedScores(digits=1)]).scores(spikes)
    assert torch.equal(told, plain.round(decimals=1))
    one = Target(small_snn, **shape, answers=[Temperature(temperature=9), Top1()]).scores(spikes)
    assert torch.equal(one.argmax(1), plain.argmax(1))
    assert one.unique().tolist() == [0, 1]


def test_temperature_is_that_of_the_logits():
    logits = torch.randn(4, 5, dtype=torch.float64)
    found = Temperature(temperature=3)(logits.softmax(1))
    torch.testing.assert_close(found, (logits / 3).softmax(1))


def test_dithered_weights_are_rounded_back_to_the_same(small_snn):
    """What an attacker adds stays within what was rounded away."""
    small_snn.fc1.weight.data[0, 0] = 3.0  # the largest stays the largest of its row
    for defence in (Quantisation(bits=3), Quantisation(bits=4, per="tensor")):
        stored = defence(small_snn)
        undone = defence.undo(stored, generator=torch.Generator().manual_seed(0))
        assert isinstance(defence, Undoable)
        moved = (undone.fc1.weight - stored.fc1.weight).detach()
        scale = defence._scale(stored.fc1.weight).detach()
        assert float((moved.abs() / scale).max()) <= 0.5
        assert float(moved.std() / scale.mean()) == pytest.approx(12**-0.5, rel=0.3)


def test_pruned_weights_come_back_much_smaller_than_those_that_remain(small_snn):
    pruned = Pruning(share=0.6)(small_snn)
    undone = Pruning(share=0.6).undo(pruned, generator=torch.Generator().manual_seed(0))
    before, after = pruned.fc1.weight.detach(), undone.fc1.weight.detach()
    kept = before != 0
    assert torch.equal(before[kept], after[kept])
    assert 0 < float(after[~kept].abs().max()) <= float(before[kept].abs().min()) / 100
