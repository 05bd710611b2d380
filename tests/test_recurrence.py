"""Recurrent neurons: snnTorch's, spike for spike, and a plain loop's gradients."""

import pytest
import torch

from brainleaks.networks import SpikingRecurrent
from brainleaks.neuron import FastSigmoid, RecurrentLIF, lif, recurrent_lif

STEPS, BATCH, SIZE, SLOPE = 40, 7, 33, 25


def given(dtype=torch.float32):
    draw = torch.Generator().manual_seed(0)
    current = 0.8 * torch.randn(STEPS, BATCH, SIZE, generator=draw)
    weight = 0.2 * torch.randn(SIZE, SIZE, generator=draw)
    return current.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_()


def of_snntorch(current, weight):
    snn = pytest.importorskip("snntorch")
    layer = snn.RLeaky(
        beta=0.9, linear_features=SIZE, spike_grad=snn.surrogate.fast_sigmoid(slope=SLOPE)
    )
    with torch.no_grad():
        layer.recurrent.bias.zero_()
    del layer.recurrent.weight
    layer.recurrent.weight = weight
    spike, membrane = layer.init_rleaky()
    trace = []
    for now in current:
        spike, membrane = layer(now, spike, membrane)
        trace.append((spike, membrane))
    return tuple(map(torch.stack, zip(*trace, strict=True)))


def of_a_loop(current, weight):
    """The same by torch's own differentiation, with the surrogate written again."""
    membrane, spike, trace = torch.zeros(BATCH, SIZE), torch.zeros(BATCH, SIZE), []
    membrane, spike = membrane.to(current), spike.to(current)
    for now in current:
        membrane = 0.9 * membrane + now + spike @ weight.T - spike.detach()
        distance = membrane - 1
        soft = distance / (1 + SLOPE * distance.abs())
        spike = (distance > 0).to(current) + soft - soft.detach()
        trace.append((spike, membrane))
    return tuple(map(torch.stack, zip(*trace, strict=True)))


@pytest.mark.parametrize("reference", [of_snntorch, of_a_loop])
def test_spikes_membranes_and_gradients_are_the_references(reference):
    dtype = torch.float64 if reference is of_a_loop else torch.float32
    draw = torch.Generator().manual_seed(1)
    weights = [torch.randn(STEPS, BATCH, SIZE, generator=draw).to(dtype) for _ in range(2)]
    found = []
    for answer in (reference, lambda *a: recurrent_lif(*a, beta=0.9, surrogate=FastSigmoid(SLOPE))):
        current, weight = given(dtype)
        if reference is of_snntorch and answer is reference:
            weight = torch.nn.Parameter(weight.detach())
        spikes, membrane = answer(current, weight)
        (spikes * weights[0] + membrane * weights[1]).sum().backward()
        found.append((spikes, membrane, current.grad, weight.grad))
    expected, ours = found
    assert torch.equal(expected[0].detach().round(), ours[0])
    assert 0.05 < ours[0].mean() < 0.5
    for theirs, own in zip(expected[1:], ours[1:], strict=True):
        torch.testing.assert_close(
            own, theirs, rtol=1e-4, atol=1e-4 * float(theirs.detach().abs().max())
        )


def test_without_recurrent_weights_it_is_the_plain_neuron():
    current, _ = given()
    layer = RecurrentLIF(SIZE, beta=0.9, surrogate=FastSigmoid(SLOPE))
    with torch.no_grad():
        layer.recurrent.weight.zero_()
    expected = lif(current, beta=0.9, surrogate=FastSigmoid(SLOPE))
    for ours, theirs in zip(layer(current), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_its_network_is_entered_at_its_first_layer():
    torch.manual_seed(0)
    network = SpikingRecurrent((1, 1, 8), 4, hidden=20, beta=0.9, surrogate=FastSigmoid(SLOPE))
    spikes = (torch.rand(STEPS, 5, 1, 1, 8) < 0.4).float()
    answer, entered = network(spikes), network.respond(network.drive(spikes))
    assert torch.equal(answer.membrane, entered.membrane)
    assert answer.membrane.shape == (STEPS, 5, 4)
    gradient = torch.rand(STEPS, 5, 20)
    pulled = (gradient @ network.fc1.weight).view(STEPS, 5, 1, 1, 8)
    torch.testing.assert_close(network.pull_back(gradient), pulled)
