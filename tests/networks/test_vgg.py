import numpy as np
import pytest
import torch
from torch.nn import functional

from brainleaks import FastSigmoid, Target
from brainleaks.networks import VGG, SpikingVGG, respond
from brainleaks.neuron import ArcTan

SHAPE = (3, 9, 8)


def lively(kind, **settings):
    """A small network whose batch norms have weights, offsets and averages of their own."""
    torch.manual_seed(0)
    network = kind(SHAPE, 4, widths=(5, 6), **settings)
    with torch.no_grad():
        network.fc.weight.mul_(5)
        for norm in network.norms:
            norm.weight.uniform_(0.7, 1.5)
            norm.bias.uniform_(-0.2, 0.5)
            norm.running_mean.uniform_(-0.1, 0.1)
            norm.running_var.uniform_(0.05, 0.2)
    return network


def spiking(**settings):
    return lively(SpikingVGG, beta=0.6, surrogate=ArcTan(2), **settings)


def pooled(frames, pooling):
    pool = functional.max_pool2d if pooling == "max" else functional.avg_pool2d
    return pool(frames, 2)


def stepped(network, inputs):
    """The equations one time step after the other, without batch norm's own code."""
    layers = len(network.norms)
    states = [torch.zeros(()) for _ in range(layers + 1)]
    fired = [torch.zeros(()) for _ in range(layers + 1)]
    currents = []  # of each layer at each time step, where batch norm needs all of them first
    frames = list(inputs)
    for i, (conv, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
        currents = [functional.conv2d(frame, conv.weight, padding=1) for frame in frames]
        if (i + 1) % network.depth == 0:
            currents = [pooled(current, network.pooling) for current in currents]
        if network.training:
            seen = torch.stack(currents).movedim(2, 0).flatten(1)
            mean, variance = seen.mean(1), seen.var(1, unbiased=False)
        else:
            mean, variance = norm.running_mean, norm.running_var
        scale = norm.weight / (variance + norm.eps).sqrt()
        offset = norm.bias - mean * scale
        frames = []
        for current in currents:
            current = current * scale.view(-1, 1, 1) + offset.view(-1, 1, 1)
            states[i] = 0.6 * states[i] + current - fired[i]
            fired[i] = (states[i] > 1).float()
            frames.append(fired[i])
    membrane, spikes = [], []
    for frame in frames:
        states[-1] = 0.6 * states[-1] + network.fc(frame.flatten(1)) - fired[-1]
        fired[-1] = (states[-1] > 1).float()
        membrane.append(states[-1])
        spikes.append(fired[-1])
    return torch.stack(spikes), torch.stack(membrane)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("depth", "pooling"), [(1, "max"), (2, "average")])
def test_spiking_vgg_equals_a_stepped_network(depth, pooling, training):
    network = spiking(depth=depth, pooling=pooling).train(training)
    inputs = torch.rand(5, 3, *SHAPE)
    spikes, membrane = stepped(network, inputs)
    assert 0 < spikes.mean() < 1
    response = network(inputs)
    torch.testing.assert_close(response.membrane, membrane, rtol=1e-4, atol=1e-5)
    assert torch.equal(response.spikes, spikes)


@pytest.mark.parametrize("training", [False, True])
def test_one_image_at_all_steps_is_convolved_once_and_answered_alike(training):
    """A direct code's view of one image, and the same values in memory of their own."""
    network, twin = (spiking().train(training) for _ in range(2))
    images = torch.rand(3, *SHAPE, requires_grad=True)
    view = images.expand(4, *images.shape)
    found, wanted = network(view).membrane, twin(view.contiguous()).membrane
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(found.sum(), images)
    (expected,) = torch.autograd.grad(wanted.sum(), images)
    assert expected.abs().sum() > 0
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-4)
    mean, other = network.norms[0].running_mean, twin.norms[0].running_mean
    torch.testing.assert_close(mean, other)


@pytest.mark.parametrize("depth", [1, 2])
def test_vgg_is_a_stack_of_torch_layers(depth):
    network = lively(VGG, depth=depth).eval()
    layers = []
    for i, (conv, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
        pool = [torch.nn.MaxPool2d(2)] if i % depth == depth - 1 else []
        layers += [conv, *pool, norm, torch.nn.ReLU()]
    stack = torch.nn.Sequential(*layers, torch.nn.Flatten(), network.fc)
    images = torch.rand(6, *SHAPE)
    torch.testing.assert_close(network(images), stack(images))
    assert respond(network, images).membrane.shape == (1, 6, 4)


def test_an_attacked_network_answers_each_sample_by_itself_and_keeps_its_averages():
    network = spiking().train()
    before = {name: b.clone() for name, b in network.named_buffers()}
    target = Target(network, input_shape=SHAPE, classes=4)
    inputs = torch.rand(4, 3, *SHAPE)
    together = target.scores(inputs)
    alone = torch.cat([target.scores(inputs[:, i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)
    assert all(torch.equal(b, before[name]) for name, b in network.named_buffers())


def test_widths_and_depth_are_the_layers():
    network = SpikingVGG(
        (3, 32, 32), 10, widths=(4, 8, 16), depth=2, beta=0.5, surrogate=FastSigmoid(25)
    )
    assert [c.out_channels for c in network.convolutions] == [4, 4, 8, 8, 16, 16]
    assert network.fc.in_features == 16 * 4 * 4


def test_activations_are_what_the_graph_keeps():
    """Convolutions at full size, and what follows pooling four times: counted by hand."""
    network = VGG((3, 8, 8), 2, widths=(2, 4), depth=2)
    counted = 3 * 64 + 2 * (64 + 4 * 64) + 2 * (64 + 4 * 16) + 4 * (16 + 4 * 16) + 4 * (16 + 4 * 4)
    assert network.activations == counted


def test_input_too_small_to_be_halved():
    with pytest.raises(ValueError, match=r"\(1, 6, 7\) is too small to be halved 3 times"):
        VGG((1, 6, 7), 10)


def test_weights_lie_as_the_frames_do():
    network = spiking()
    assert all(
        conv.weight.is_contiguous(memory_format=torch.channels_last)
        for conv in network.convolutions
    )
    np.testing.assert_equal(network.convolutions[1].weight.shape, (6, 5, 3, 3))
