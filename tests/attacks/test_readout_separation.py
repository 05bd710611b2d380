"""Readout separation: hidden spikes from the last layer's gradient, and pictures from these."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from brainleaks import InputError, Target
from brainleaks.attacks.gradients import ReadoutSeparation, TrainingStep, recover
from brainleaks.attacks.gradients.feature_inversion import hidden_spikes_of
from brainleaks.attacks.gradients.readout import hidden_spikes
from brainleaks.attacks.gradients.subset_sums import (
    different_columns,
    errors_between,
    exact_subsets,
    nearest_subsets,
    single_errors,
)
from brainleaks.data import digits
from brainleaks.data.codes import DirectCode
from brainleaks.evaluation.batches import hidden_vectors
from brainleaks.networks import ConvNet, Response, SpikingConvNet, SpikingVGG, respond
from brainleaks.networks.views import Coded
from brainleaks.neuron import LIF, ArcTan, FastSigmoid
from brainleaks.training import summed_cross_entropy

SHAPE, CLASSES, STEPS = (1, 24, 24), 10, 6


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    whole = digits.load(tmp_path_factory.mktemp("digits")).train
    return interpolate(whole.inputs[:6], scale_factor=3, mode="bilinear"), whole.labels[:6]


def rate_coded(images):
    draw = torch.Generator().manual_seed(0)
    spikes = torch.bernoulli(images.expand(STEPS, *images.shape), generator=draw)
    return SpikingConvNet(SHAPE, CLASSES, kernel=3, beta=0.7, surrogate=FastSigmoid(40)), spikes


def direct(images):
    spiking = SpikingVGG(SHAPE, CLASSES, widths=(16, 32), beta=0.5, surrogate=ArcTan(2))
    return Coded(spiking, DirectCode(4), 4), images


def stepped(made, images, labels):
    """A network, the inputs, and the gradients of a training step."""
    torch.manual_seed(0)
    net, inputs = made(images)
    net.train()
    summed_cross_entropy(respond(net, inputs), labels).backward()
    return net, inputs, {name: p.grad.clone() for name, p in net.named_parameters()}


def recovered(net, gradients, size, attack=None, steps=STEPS):
    target = Target(net, input_shape=SHAPE, classes=CLASSES)
    attack = attack or ReadoutSeparation(iterations=2)
    return attack(target, TrainingStep(gradients, size, steps if net.spiking else 1))


@pytest.mark.parametrize("made", [rate_coded, direct])
def test_hidden_spikes_come_back_to_the_bit_and_in_order(images, made):
    net, inputs, gradients = stepped(made, images[0][:1], images[1][:1])
    found = recovered(net, gradients, 1)
    assert torch.equal(found.hidden, hidden_spikes_of(net, inputs))
    assert found.labels.tolist() == images[1][:1].tolist()
    assert found.exact[found.hidden.any(2)].all()


def test_one_call_chooses_the_attack(images):
    net, inputs, gradients = stepped(direct, images[0][:1], images[1][:1])
    shape = {"input_shape": SHAPE, "classes": CLASSES}
    found = recover(gradients, net, **shape, batch_size=1, time_steps=1)
    assert torch.equal(found.hidden, hidden_spikes_of(net, inputs))


def test_a_batch_with_more_vectors_than_classes(images):
    net, inputs, gradients = stepped(direct, images[0][:4], images[1][:4])
    found = recovered(net, gradients, 4)
    true = hidden_spikes_of(net, inputs)
    assert true.any(2).sum() > CLASSES
    assert float(hidden_vectors(true, found.hidden).mean()) > 0.9
    assert sorted(found.labels.tolist()) == sorted(images[1][:4].tolist())


def test_the_picture_behind_a_direct_code(images):
    net, _, gradients = stepped(direct, images[0][:1], images[1][:1])
    attack = ReadoutSeparation(total_variation=3.0, iterations=150)
    found = recovered(net, gradients, 1, attack)
    both = torch.stack([found.inputs.flatten(), images[0][0].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.65


def test_noise_certifies_nothing(images):
    net, _, gradients = stepped(direct, images[0][:1], images[1][:1])
    draw = torch.Generator().manual_seed(0)
    seen = gradients["network.fc.weight"]
    noisy = seen + 1e-3 * seen.std() * torch.randn(seen.shape, generator=draw)
    assert not recovered(net, gradients | {"network.fc.weight": noisy}, 1).exact.any()
    order = torch.randperm(seen.numel(), generator=draw)
    shuffled = seen.flatten()[order].view_as(seen)
    assert not recovered(net, gradients | {"network.fc.weight": shuffled}, 1).exact.any()


def errors_of(steps, classes, beta, seed=0):
    """Errors of one sample, by backpropagation through random hidden spikes."""
    torch.manual_seed(seed)
    last, neuron = nn.Linear(60, classes), LIF(beta=beta, surrogate=FastSigmoid(5))
    spikes = (torch.rand(steps, 2, 60) < 0.15).float()
    current = last(spikes).detach().requires_grad_()
    loss = summed_cross_entropy(Response(*neuron(current)), torch.tensor([1, 3]))
    loss.backward()
    return last, neuron, spikes, 2 * current.grad.double().flatten(0, 1).numpy()


def test_the_walk_is_that_of_backpropagation():
    last, neuron, spikes, errors = errors_of(5, 6, 0.8)
    found = hidden_spikes(errors.T @ spikes.flatten(0, 1).double().numpy(), last, neuron, 5)
    assert sorted(found.labels.tolist()) == [1, 3]
    order = found.labels.argsort()
    assert torch.equal(found.hidden[:, order], spikes)


def test_subset_sums_by_hand():
    """Three errors; the third shows beside the first, and beside the second, alone."""
    errors = np.array([[-1.0, 0.7, 0.3], [0.2, -0.9, 0.7], [0.5, 0.25, -0.75]])
    subsets = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 0]], float)
    values = subsets @ errors
    known = single_errors(values, 1.0)
    assert {tuple(e.round(6)) for e in known} >= {tuple(e) for e in errors[:2]}
    found = exact_subsets(values, errors)
    brute = [
        next(s for s in itertools.product([0, 1], repeat=3) if np.allclose(s @ errors, value))
        for value in values
    ]
    assert np.array_equal(found, np.array(brute))
    assert np.isnan(exact_subsets(np.array([[0.1, -0.3, 0.2]]), errors)).all()
    assert np.array_equal(nearest_subsets(values + 1e-3, errors), subsets)
    more = errors_between(values[2:4], errors[:2], 1.0)
    assert np.allclose(more, errors[2:])


def test_columns_are_told_apart_by_more_than_rounding():
    gradient = np.array([[1.0, 0.0, 1.0 + 1e-8, 2.0], [-1.0, 0.0, -1.0, -2.0]])
    columns = different_columns(gradient)
    assert columns.which.tolist() == [0, -1, 0, 1]
    assert np.allclose(columns.values, [[1, -1], [2, -2]])


def test_hidden_vectors_by_hand():
    private = torch.zeros(3, 2, 4, dtype=torch.bool)
    private[0, 0, 1] = private[1, 0, 2] = private[2, 1, 3] = True
    swapped = private.flip(1).clone()
    assert hidden_vectors(private, swapped).tolist() == [1, 1]
    swapped[0, 1] = True
    assert hidden_vectors(private, swapped).tolist() == [0.5, 1]
    assert hidden_vectors(private, private[:, :0]).tolist() == [0, 0]


def test_bad_steps_are_refused_in_a_sentence(images):
    net, _, gradients = stepped(direct, images[0][:1], images[1][:1])
    target = Target(net, input_shape=SHAPE, classes=CLASSES)
    with pytest.raises(InputError, match="batch size is not known"):
        ReadoutSeparation()(target, TrainingStep(gradients))
    with pytest.raises(InputError, match=r"no gradient of network\.fc\.weight"):
        ReadoutSeparation()(target, TrainingStep({}, 1, 1))
    ordinary = Target(ConvNet(SHAPE, CLASSES, kernel=3), input_shape=SHAPE, classes=CLASSES)
    with pytest.raises(InputError, match="needs a fully connected last layer"):
        ReadoutSeparation()(ordinary, TrainingStep(gradients, 1, 1))
