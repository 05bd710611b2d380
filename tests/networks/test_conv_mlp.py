import pytest
import snntorch
import torch
from snntorch import surrogate

from brainleaks.networks import ConvMLP, SpikingConvMLP
from brainleaks.neuron import ArcTan

SHAPE = (3, 9, 8)


def encoder(network):
    """As the paper's code writes it down, of torch's own layers."""
    return torch.nn.Sequential(
        network.conv1, torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        network.conv2, torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), network.fc1,
    )  # fmt: skip


def test_the_ordinary_network_is_a_stack_of_torch_layers():
    torch.manual_seed(0)
    network = ConvMLP(SHAPE, 4, hidden=20)
    images = torch.rand(5, *SHAPE)
    stack = torch.nn.Sequential(encoder(network), torch.nn.ReLU(), network.fc2)
    torch.testing.assert_close(network(images), stack(images))


@pytest.mark.parametrize("same", [True, False])
def test_the_spiking_head_equals_stepped_snntorch_neurons(same):
    torch.manual_seed(1)
    network = SpikingConvMLP(SHAPE, 4, hidden=30, beta=0.95, surrogate=ArcTan(2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    images = torch.rand(5, *SHAPE)
    currents = images.expand(10, *images.shape)
    if not same:
        currents = currents * torch.rand(10, 1, 1, 1, 1)
    neurons = [snntorch.Leaky(0.95, spike_grad=surrogate.atan(2.0)) for _ in range(2)]
    state = [neuron.init_leaky() for neuron in neurons]
    encoded, spikes, membrane = encoder(network), [], []
    for current in currents:
        x, state[0] = neurons[0](encoded(current), state[0])
        x, state[1] = neurons[1](network.fc2(x), state[1])
        spikes.append(x)
        membrane.append(state[1])
    response = network(currents)
    assert 0 < torch.stack(spikes).mean() < 1
    assert torch.equal(response.spikes, torch.stack(spikes))
    torch.testing.assert_close(response.membrane, torch.stack(membrane), rtol=1e-4, atol=1e-4)
    wanted = torch.autograd.grad(torch.stack(membrane).sum(), list(network.parameters()))
    found = torch.autograd.grad(response.membrane.sum(), list(network.parameters()))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-2)


def test_input_too_small_to_be_pooled_twice():
    with pytest.raises(ValueError, match=r"\(1, 3, 8\) is too small to be pooled twice"):
        ConvMLP((1, 3, 8), 10)
