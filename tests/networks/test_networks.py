import pytest
import snntorch
import torch
from snntorch import surrogate
from torch.nn import functional

from brainleaks.networks import MLP, ConvNet, SpikingConvNet, SpikingMLP, respond
from brainleaks.neuron import ArcTan, FastSigmoid
from notebook_way import NotebookSNN


def test_spiking_mlp_equals_the_notebooks_network():
    torch.manual_seed(0)
    reference = NotebookSNN(20, 30, 4)
    ours = SpikingMLP((1, 4, 5), 4, hidden=30, beta=0.7, surrogate=FastSigmoid(40))
    weights = {k: v * 3 for k, v in reference.state_dict().items() if k.startswith("fc")}
    reference.load_state_dict(weights, strict=False)
    ours.load_state_dict(weights)
    spikes = (torch.rand(25, 3, 1, 4, 5) < 0.5).float()
    expected = reference(spikes.flatten(2))
    response = ours(spikes)
    assert expected[0].any()
    assert torch.equal(response.spikes, expected[0])
    torch.testing.assert_close(response.membrane, expected[1])


def test_spiking_conv_equals_a_stepped_snntorch_network():
    torch.manual_seed(1)
    ours = SpikingConvNet((1, 16, 20), 5, beta=0.8, surrogate=ArcTan(1.5))
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(6)
    spikes = (torch.rand(8, 2, 1, 16, 20) < 0.4).float()
    neurons = [snntorch.Leaky(0.8, spike_grad=surrogate.atan(1.5)) for _ in range(3)]
    state = [neuron.init_leaky() for neuron in neurons]
    outputs, trace = [], []
    for step in spikes:
        x, state[0] = neurons[0](functional.max_pool2d(ours.conv1(step), 2), state[0])
        x, state[1] = neurons[1](functional.max_pool2d(ours.conv2(x), 2), state[1])
        x, state[2] = neurons[2](ours.fc1(x.flatten(1)), state[2])
        outputs.append(x)
        trace.append(state[2])
    response = ours(spikes)
    assert torch.stack(outputs).any()
    assert torch.equal(response.spikes, torch.stack(outputs))
    torch.testing.assert_close(response.membrane, torch.stack(trace), rtol=1e-4, atol=1e-5)
    wanted = torch.autograd.grad(torch.stack(trace).sum(), list(ours.parameters()))
    found = torch.autograd.grad(response.membrane.sum(), list(ours.parameters()))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_ordinary_networks_are_the_protocols():
    torch.manual_seed(0)
    images = torch.rand(2, 1, 28, 28)
    mlp, conv = MLP((1, 28, 28), 10), ConvNet((1, 28, 28), 10)
    hidden = 1 / (1 + torch.exp(-(images.flatten(1) @ mlp.fc1.weight.T + mlp.fc1.bias)))
    torch.testing.assert_close(mlp(images), hidden @ mlp.fc2.weight.T + mlp.fc2.bias)
    stack = torch.nn.Sequential(
        conv.conv1, torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        conv.conv2, torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), conv.fc1,
    )  # fmt: skip
    torch.testing.assert_close(conv(images), stack(images))
    assert respond(conv, images).membrane.shape == (1, 2, 10)


def test_released_names_and_shapes():
    snn = SpikingMLP((1, 28, 28), 10, beta=0.7, surrogate=FastSigmoid(40)).state_dict()
    assert {k: tuple(v.shape) for k, v in snn.items()} == {
        "fc1.weight": (3000, 784),
        "fc1.bias": (3000,),
        "fc2.weight": (10, 3000),
        "fc2.bias": (10,),
    }
    evaluator = ConvNet((1, 112, 92), 40).state_dict()
    assert tuple(evaluator["fc1.weight"].shape) == (40, 24 * 25 * 20)


def test_pull_back_is_the_transpose_of_drive(small_snn):
    spikes = torch.rand(7, 3, 1, 4, 5, requires_grad=True)
    current = small_snn.drive(spikes)
    pull = torch.randn_like(current)
    (wanted,) = torch.autograd.grad(current, spikes, pull)
    torch.testing.assert_close(small_snn.pull_back(pull), wanted)


def test_input_too_small_for_the_kernels():
    with pytest.raises(ValueError, match="too small for two 5x5"):
        ConvNet((1, 8, 8), 10)
