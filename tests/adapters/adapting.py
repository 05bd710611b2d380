"""What the adapters' tests share: samples, a short training, what every adapted network does."""

import torch
from torch import nn

from brainleaks import Target
from brainleaks.attacks.objectives import confidence
from brainleaks.data import digits
from brainleaks.data.encoding import RateCode
from brainleaks.networks import respond

STEPS = 10


def spikes(batch=6, steps=12, seed=0):
    """Random spikes ``(T, B, 1, 8, 8)``."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(steps, batch, 1, 8, 8, generator=generator) < 0.4).float()


def lively(network, gain=2.5, seed=0):
    """Random weights, large enough for the neurons to fire."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                fan_in = layer.weight[0].numel()
                layer.weight.normal_(generator=generator).mul_(gain / fan_in**0.5)
                if layer.bias is not None:
                    layer.bias.normal_(generator=generator).mul_(0.2)
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(generator=generator).mul_(0.1)
                layer.running_var.uniform_(0.5, 2.0, generator=generator)
                layer.weight.uniform_(0.5, 1.5, generator=generator)
    return network


def trained(network, answer, steps=40):
    """A few steps of training on digits, from scratch; ``answer(spikes)`` gives ``(B, 10)``.

    Returns held-out digits as spikes and their labels.
    """
    data = digits.load(None)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    encode = RateCode(STEPS)
    for layer in network.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(steps):
        batch = torch.randint(len(data.train.labels), (64,), generator=generator)
        loss = nn.functional.cross_entropy(
            answer(encode(data.train.inputs[batch], generator)), data.train.labels[batch]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return encode(data.test.inputs[:100], generator), data.test.labels[:100]


def check_target(network, samples):
    """A target takes the network: its gradients are autograd's, and reach the inputs."""
    spiking = samples.ndim == 5
    labels = torch.arange(samples.shape[-4]) % 10
    target = Target(network, input_shape=(1, 8, 8), classes=10, memory=50_000)
    values, gradient = target.gradient(target.entry(samples), labels, confidence)
    inputs = samples.clone().requires_grad_()
    trace = respond(network, inputs).membrane.softmax(-1).mean(0)
    expected = trace[torch.arange(len(labels)), labels]
    torch.testing.assert_close(values, expected.detach(), rtol=1e-4, atol=1e-6)
    (wanted,) = torch.autograd.grad(expected.sum(), inputs)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-5)
    assert gradient.abs().max() > 0
    changed = samples.flip(0)
    updated = target.update(target.entry(samples), changed - samples)
    torch.testing.assert_close(updated, target.entry(changed), rtol=1e-4, atol=1e-4)
    if spiking:
        members = samples.unsqueeze(1)
        _, shared = target.shared_gradient(
            members, labels, confidence, lambda values, members: torch.ones_like(values)
        )
        torch.testing.assert_close(shared, gradient, rtol=1e-3, atol=1e-5)
    return gradient
