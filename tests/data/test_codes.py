"""Codes against snnTorch's, and the gradients that pass them."""

import pytest
import torch
from snntorch import spikegen

from brainleaks.data.codes import DirectCode, LatencyCode
from brainleaks.networks import respond
from brainleaks.networks.views import Coded, OfClasses


@pytest.mark.parametrize("steps", [2, 5, 25])
def test_latency_is_snntorchs(steps):
    images = torch.rand(7, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    images[0, 0, 0, :3] = torch.tensor([0.0, 0.005, 1.0])
    expected = spikegen.latency(images, num_steps=steps, linear=True, normalize=True, clip=True)
    assert torch.equal(LatencyCode(steps)(images), expected)


def test_latency_gradient_moves_the_spike():
    """Half way between two time steps, brightening makes the earlier one likelier."""
    code = LatencyCode(5)
    image = torch.tensor([[0.7]], requires_grad=True)  # spikes at 0.3 * 4 = 1.2, between 1 and 2
    weights = torch.tensor([0.0, 1.0, -1.0, 0.0, 0.0]).view(5, 1, 1)
    (gradient,) = torch.autograd.grad((code(image) * weights).sum(), image)
    # d/dx of (1 - |t - 4(1 - x)|) is +4 at t = 1 and -4 at t = 2
    assert gradient.item() == pytest.approx(8.0)


def test_direct_repeats():
    images = torch.rand(3, 1, 2, 2)
    assert torch.equal(DirectCode(4)(images), images.expand(4, 3, 1, 2, 2))


def test_a_network_behind_its_code_takes_images(small_snn):
    images = torch.rand(3, 1, 4, 5)
    coded = Coded(small_snn, DirectCode(6), 6)
    assert not coded.spiking
    assert coded.activations == 6 * small_snn.activations
    assert torch.equal(coded(images).membrane, small_snn(images.expand(6, *images.shape)).membrane)


def test_a_network_by_some_of_its_classes(small_snn):
    spikes = (torch.rand(5, 3, 1, 4, 5) < 0.5).float()
    some = respond(OfClasses(small_snn, [4, 1]), spikes)
    whole = small_snn(spikes)
    assert torch.equal(some.membrane, whole.membrane[..., [4, 1]])
    assert torch.equal(some.spikes, whole.spikes[..., [4, 1]])
