"""Spike separation: a private batch from its gradient, and what stops it."""

import dataclasses

import numpy as np
import pytest
import torch
from skimage.filters import threshold_otsu
from torch.nn.functional import interpolate

from brainleaks import AccessError, InputError, Target
from brainleaks.attacks.gradients import ErrorIteration, SpikeSeparation, TrainingStep
from brainleaks.attacks.gradients.order import chains, errors
from brainleaks.attacks.gradients.pictures import pictures
from brainleaks.attacks.gradients.separation import binary_vectors, span, two_levels
from brainleaks.data import digits
from brainleaks.data.encoding import RateCode
from brainleaks.networks import MLP, SpikingConvNet, SpikingMLP, respond
from brainleaks.neuron import FastSigmoid
from brainleaks.training import Recipe, fit, summed_cross_entropy

SHAPE, CLASSES, STEPS = (1, 24, 24), 10, 8


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Digits, three times as large: a subspace of few pixels holds false binary vectors too."""
    whole = digits.load(tmp_path_factory.mktemp("digits"))
    larger = interpolate(whole.train.inputs, scale_factor=3, mode="bilinear")
    return dataclasses.replace(whole, train=whole.train._replace(inputs=larger))


def network(hidden=400):
    torch.manual_seed(0)
    return SpikingMLP(SHAPE, CLASSES, hidden=hidden, beta=0.7, surrogate=FastSigmoid(40))


def batch(dataset, size, seed=0):
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(dataset.train.labels), generator=draw)[:size]
    spikes = RateCode(STEPS)(dataset.train.inputs[chosen], draw)
    return spikes, dataset.train.labels[chosen]


def gradients(net, inputs, labels):
    net.zero_grad()
    summed_cross_entropy(respond(net, inputs), labels).backward()
    return {name: p.grad.clone() for name, p in net.named_parameters()}


def target(net):
    return Target(net, input_shape=SHAPE, classes=CLASSES)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_of_digits_comes_back_to_the_bit(dataset, size, known):
    net = network()
    inputs, labels = batch(dataset, size)
    told = (size, STEPS) if known else ()
    found = SpikeSeparation()(target(net), TrainingStep(gradients(net, inputs, labels), *told))
    assert int(found.rank) == size * STEPS
    assert len(found.loose) == 0
    samples = {sample.bool().numpy().tobytes(): i for i, sample in enumerate(inputs.unbind(1))}
    order = [samples[sample.numpy().tobytes()] for sample in found.inputs.unbind(1)]  # exact
    assert sorted(order) == list(range(size))
    assert found.labels.tolist() == labels[order].tolist()
    assert found.exact.all()


def test_a_trained_network_gives_its_batch_away_too(dataset):
    net = network()
    recipe = Recipe(learning_rate=1e-3, batch_size=50, epochs=3)
    draw = torch.Generator().manual_seed(0)
    fit(net, dataset.train.first(500), recipe, encode=RateCode(STEPS), generator=draw)
    inputs, labels = batch(dataset, 2, seed=5)
    found = SpikeSeparation()(target(net), TrainingStep(gradients(net, inputs, labels), 2, STEPS))
    have = {sample.numpy().tobytes() for sample in found.inputs.unbind(1)}
    assert have == {sample.bool().numpy().tobytes() for sample in inputs.unbind(1)}


def test_a_shuffled_gradient_gives_nothing(dataset):
    net = network()
    inputs, labels = batch(dataset, 1)
    true = gradients(net, inputs, labels)["fc1.weight"]
    order = torch.randperm(true.numel(), generator=torch.Generator().manual_seed(0))
    space = span(true.flatten()[order].view_as(true))
    assert len(binary_vectors(space)) == 0


def test_beyond_the_width_nothing_false_is_certified(dataset):
    net = network(hidden=20)
    inputs, labels = batch(dataset, 4)  # 32 vectors, 20 neurons
    found = SpikeSeparation()(target(net), TrainingStep(gradients(net, inputs, labels)))
    assert int(found.rank) <= 20
    true = {v.bool().numpy().tobytes() for v in inputs.flatten(0, 1)}
    claimed = [*found.inputs.flatten(0, 1)[found.exact.flatten()], *found.loose]
    assert all(v.numpy().tobytes() in true for v in claimed)


def test_two_levels_are_cut_as_otsu_cuts():
    draw = np.random.default_rng(0)
    rows = np.where(draw.random((4, 3000)) < 0.3, 1.0, 0.0) + 0.2 * draw.standard_normal((4, 3000))
    cuts, explained = two_levels(torch.from_numpy(rows))
    for row, cut, share in zip(rows, cuts, explained, strict=True):
        assert float(cut) == pytest.approx(threshold_otsu(row, 64), abs=0.05)
        above = row > float(cut)
        between = above.mean() * (~above).mean() * (row[above].mean() - row[~above].mean()) ** 2
        assert float(share) == pytest.approx(between / row.var(), abs=0.01)


def test_the_span_ends_at_the_cliff():
    draw = torch.Generator().manual_seed(0)
    spikes = (torch.rand(12, 90, generator=draw) < 0.4).float()
    gradient = torch.randn(60, 12, generator=draw) @ spikes
    for expected in (None, 5, 12, 80):
        space = span(gradient, expected)
        assert space.basis.shape == (90, 12)
        assert space.cliff > 1e3
        assert torch.allclose((spikes @ space.basis) @ space.basis.T, spikes, atol=1e-4)


def test_errors_are_those_of_backpropagation(dataset):
    net = network()
    inputs, labels = batch(dataset, 2)
    true = gradients(net, inputs, labels)["fc1.weight"]
    entry = net.drive(inputs).detach().requires_grad_()
    summed_cross_entropy(net.respond(entry), labels).backward()
    found = errors(true, inputs.flatten(0, 1).flatten(1))
    assert torch.allclose(found, entry.grad.flatten(0, 1), atol=1e-5)


def test_chains_follow_what_leaks_back_through_time():
    draw = torch.Generator().manual_seed(0)
    spread = torch.randn(5, 3, 500, generator=draw)
    added = spread * (torch.rand(5, 3, 500, generator=draw) < 0.1)
    behind = [added[4]]
    for t in (3, 2, 1, 0):
        behind.insert(0, added[t] + 0.8 * behind[0])
    flat = torch.stack(behind).flatten(0, 1)  # vector 3 t + b
    for samples in (None, 3):
        found = chains(flat, 0.8, samples)
        assert sorted(found) == [[b, 3 + b, 6 + b, 9 + b, 12 + b] for b in range(3)]


def test_pictures_lose_the_noise_of_the_code(dataset):
    images = dataset.train.inputs[:6]
    spikes = RateCode(25)(images, torch.Generator().manual_seed(0))
    error = [(pictures(spikes, coded=coded) - images).square().mean() for coded in (False, True)]
    assert error[1] < 0.9 * error[0]
    assert pictures(images, coded=True) is images


def refused(step, net=None):
    with pytest.raises(InputError) as caught:
        SpikeSeparation()(target(net or network()), step)
    return str(caught.value)


def test_bad_steps_are_refused_in_a_sentence(dataset):
    net = network()
    inputs, labels = batch(dataset, 2)
    true = gradients(net, inputs, labels)
    assert "no gradient of fc1.weight" in refused(TrainingStep({"fc2.weight": true["fc2.weight"]}))
    assert "(400, 576)" in refused(TrainingStep({"fc1.weight": true["fc1.weight"]}), network(300))
    broken = true["fc1.weight"].clone()
    broken[3, 3] = float("nan")
    assert "NaN" in refused(TrainingStep({"fc1.weight": broken}))
    assert "is zero" in refused(TrainingStep({"fc1.weight": torch.zeros(400, 576)}))
    said = refused(TrainingStep(true, batch_size=1, time_steps=STEPS))
    assert "16 independent input vectors" in said
    assert "at most 8" in said
    conv = SpikingConvNet((1, 28, 28), CLASSES, kernel=5, beta=0.7, surrogate=FastSigmoid(40))
    with pytest.raises(InputError, match="not fully connected"):
        SpikeSeparation()(Target(conv, input_shape=(1, 28, 28), classes=10), TrainingStep(true))


def test_other_networks_and_less_access_are_refused():
    ordinary = Target(MLP(SHAPE, CLASSES, hidden=30), input_shape=SHAPE, classes=CLASSES)
    with pytest.raises(AccessError, match="spiking"):
        SpikeSeparation()(ordinary, TrainingStep({}))
    blind = Target(network(), input_shape=SHAPE, classes=CLASSES, access="scores")
    with pytest.raises(AccessError, match="gradients"):
        SpikeSeparation()(blind, TrainingStep({}))


@pytest.mark.parametrize("noise", [1e-3, 1e-2])
def test_what_is_found_under_much_noise_is_not_certified(dataset, noise):
    net = network()
    inputs, labels = batch(dataset, 1)
    true = gradients(net, inputs, labels)
    for name, value in true.items():
        draw = torch.Generator().manual_seed(0)
        true[name] = value + noise * value.std() * torch.randn(value.shape, generator=draw)
    found = SpikeSeparation()(target(net), TrainingStep(true, 1, STEPS))
    assert bool(found.exact.all()) is (noise < 1e-2)  # below, a cliff still shows
    assert bool(found.exact.any()) is (noise < 1e-2)
    assert len(found.loose) == 0
    assert torch.equal(found.inputs[:, 0], inputs[:, 0].bool())
    assert found.labels.tolist() == labels.tolist()


@pytest.mark.parametrize("size", [1, 5])
def test_an_ordinary_network_gives_its_batch_away_as_well(dataset, size):
    torch.manual_seed(0)
    net = MLP(SHAPE, CLASSES, hidden=200)
    images, labels = dataset.train.inputs[:size], dataset.train.labels[:size]
    net.zero_grad()
    torch.nn.functional.cross_entropy(net(images), labels).backward()
    step = TrainingStep({n: p.grad for n, p in net.named_parameters()}, size, 1)
    found = ErrorIteration()(target(net), step)
    assert found.labels.tolist() == labels.sort().values.tolist()
    assert found.exact.all()
    order = labels.argsort()
    assert torch.allclose(found.inputs, images[order], atol=1e-2)


def test_an_ordinary_networks_shuffled_gradient_is_not_certified(dataset):
    torch.manual_seed(0)
    net = MLP(SHAPE, CLASSES, hidden=200)
    images, labels = dataset.train.inputs[:3], dataset.train.labels[:3]
    net.zero_grad()
    torch.nn.functional.cross_entropy(net(images), labels).backward()
    order = torch.randperm(net.fc1.weight.numel(), generator=torch.Generator().manual_seed(0))
    shuffled = net.fc1.weight.grad.flatten()[order].view_as(net.fc1.weight)
    step = TrainingStep({"fc1.weight": shuffled, "fc2.bias": net.fc2.bias.grad}, 3, 1)
    assert not ErrorIteration()(target(net), step).exact.any()
    with pytest.raises(InputError, match="last layer's bias"):
        ErrorIteration()(target(net), TrainingStep({"fc1.weight": shuffled}, 3, 1))
