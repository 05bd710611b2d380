"""Statistics inversion: the running averages of batch norm hold images to the training data."""

import numpy as np
import pytest
import torch

from brainleaks import AccessError, Target
from brainleaks.attacks.inversion.statistics_inversion import StatisticsInversion, remembered
from brainleaks.audit.plan import suitable
from brainleaks.data.codes import DirectCode
from brainleaks.data.dataset import Samples
from brainleaks.data.encoding import as_images
from brainleaks.networks import MLP, VGG, SpikingVGG, respond
from brainleaks.networks.views import Coded
from brainleaks.neuron import ArcTan
from brainleaks.randomness import stream
from brainleaks.training import Recipe, fit

SHAPE, CLASSES = (3, 8, 8), 4


def photographs(count):
    """Smooth dim images, each class brighter in a colour and a half of its own."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % CLASSES
    images = 0.25 + 0.05 * torch.randn(count, 3, 1, 1, generator=draw).expand(count, *SHAPE)
    images = images.clone()
    for image, label in zip(images, labels.tolist(), strict=True):
        image[label % 3, (label // 2) * 4 : (label // 2) * 4 + 4] += 0.3
    noise = 0.02 * torch.randn(images.shape, generator=draw)
    return Samples((images + noise).clamp(0, 1), labels)


def trained(spiking):
    torch.manual_seed(0)
    settings = {"widths": (8, 16)}
    network = VGG(SHAPE, CLASSES, **settings)
    if spiking:
        vgg = SpikingVGG(SHAPE, CLASSES, **settings, beta=0.5, surrogate=ArcTan(2))
        network = Coded(vgg, DirectCode(3), 3)
    recipe = Recipe(learning_rate=5e-3, batch_size=20, epochs=6)
    fit(network, photographs(240), recipe, encode=as_images, generator=stream(0, "training"))
    return network


@pytest.mark.parametrize("spiking", [False, True])
def test_reconstructions_have_the_colours_of_the_data(spiking):
    """Beside the same search without statistics: nearer to real images, and still recognised."""
    target = Target(trained(spiking), input_shape=SHAPE, classes=CLASSES)
    labels = torch.tensor([2, 0, 3, 1])
    real = photographs(240)
    means = torch.stack([real.inputs[real.labels == c].mean((0, 2, 3)) for c in labels])
    apart = {}
    for weight in (0.0, 10.0):
        attack = StatisticsInversion(iterations=150, members=4, statistics=weight, flip=False)
        found = attack(target, labels)
        assert torch.equal(target.labels(found), labels)
        apart[weight] = float((found.mean((2, 3)) - means).abs().mean())
    assert apart[10.0] < apart[0.0] / 1.5


def test_departures_are_those_of_each_channel():
    """By NumPy, for two layers whose averages are given."""
    network = VGG(SHAPE, CLASSES, widths=(2, 3)).eval()
    seen = []
    for norm in network.norms:
        norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().numpy()))
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    with remembered(network) as found:
        respond(network, torch.rand(6, *SHAPE))
    assert len(found) == 2
    for departure, values, norm in zip(found, seen, network.norms, strict=True):
        mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3))
        kept, spread = norm.running_mean.numpy(), norm.running_var.numpy()
        apart = ((mean - kept) ** 2).sum() + ((variance**0.5 - spread**0.5) ** 2).sum()
        assert float(departure.detach()) == pytest.approx(apart / spread.sum(), rel=1e-3)
    before = len(seen)
    respond(network, torch.rand(1, *SHAPE))
    assert len(seen) == before + 2
    assert len(found) == 2, "outside nothing is noted"


def test_a_network_without_batch_norm_can_be_attacked_too():
    torch.manual_seed(0)
    target = Target(MLP(SHAPE, CLASSES, hidden=20), input_shape=SHAPE, classes=CLASSES)
    attack = StatisticsInversion(iterations=100, members=2, variation=0, shift=0, flip=False)
    found = attack(target, torch.arange(CLASSES))
    assert torch.equal(target.labels(found), torch.arange(CLASSES))
    assert np.isfinite(found.numpy()).all()


def test_it_asks_for_images_and_gradients(small_snn):
    attack, labels = StatisticsInversion(iterations=1), torch.arange(2)
    with pytest.raises(AccessError, match="attacks ordinary"):
        attack(Target(small_snn, input_shape=(1, 4, 5), classes=6), labels)
    network = VGG(SHAPE, CLASSES, widths=(4,))
    with pytest.raises(AccessError, match="needs the target's gradients"):
        attack(Target(network, input_shape=SHAPE, classes=CLASSES, access="scores"), labels)


def test_audits_use_it_only_if_it_is_named():
    assert "smooth-inversion" in suitable("gradients", spiking=False)
    assert "statistics-inversion" not in suitable("gradients", spiking=False)
