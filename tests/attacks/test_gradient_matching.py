"""Gradient matching: the field's own attacks, on ordinary and spiking networks."""

import pytest
import torch
from torch.nn.functional import cross_entropy, interpolate

from brainleaks import InputError, Target
from brainleaks.attacks.gradients import GradientMatching, TrainingStep
from brainleaks.attacks.gradients.gradient_matching import _Match
from brainleaks.attacks.gradients.labels import counted
from brainleaks.data import digits
from brainleaks.data.codes import DirectCode
from brainleaks.networks import VGG, ConvNet, SpikingConvNet, SpikingMLP, SpikingVGG, respond
from brainleaks.networks.views import Coded
from brainleaks.neuron import ArcTan, FastSigmoid, synapse
from brainleaks.training import summed_cross_entropy

SHAPE, CLASSES = (1, 16, 16), 10


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    whole = digits.load(tmp_path_factory.mktemp("digits")).train
    return interpolate(whole.inputs[:8], scale_factor=2, mode="bilinear"), whole.labels[:8]


def direct(steps=3):
    spiking = SpikingVGG(SHAPE, CLASSES, widths=(16, 32), beta=0.5, surrogate=ArcTan(2))
    return Coded(spiking, DirectCode(steps), steps)


def rate_coded():
    return SpikingConvNet(SHAPE, CLASSES, kernel=3, beta=0.7, surrogate=FastSigmoid(40))


NETWORKS = {
    "conv": lambda: ConvNet(SHAPE, CLASSES, kernel=3),
    "vgg": lambda: VGG(SHAPE, CLASSES, widths=(16, 32)),
    "direct": direct,
    "rate": rate_coded,
}


def attacked(name, images, labels, attack, **changes):
    torch.manual_seed(0)
    net = NETWORKS[name]().train()
    inputs = images
    if net.spiking:
        draw = torch.Generator().manual_seed(0)
        inputs = torch.bernoulli(images.expand(6, *images.shape), generator=draw)
    summed_cross_entropy(respond(net, inputs), labels).backward()
    gradients = {n: p.grad for n, p in net.named_parameters()} | changes
    steps = len(inputs) if net.spiking else 1
    target = Target(net, input_shape=SHAPE, classes=CLASSES)
    return attack(target, TrainingStep(gradients, len(labels), steps))


@pytest.mark.parametrize("name", ["vgg", "direct"])
def test_a_digit_comes_back(images, name):
    found = attacked(name, images[0][:1], images[1][:1], GradientMatching(iterations=300))
    both = torch.stack([found.inputs.flatten(), images[0][0].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.65
    assert found.labels.tolist() == images[1][:1].tolist()
    assert not found.exact.any()


@pytest.mark.parametrize("name", NETWORKS)
def test_labels_are_counted(images, name):
    found = attacked(name, *images, GradientMatching(iterations=1))
    assert found.labels.tolist() == sorted(images[1].tolist())


@pytest.mark.parametrize("unknown", ["picture", "spikes"])
def test_what_is_searched_of_a_rate_code(images, unknown):
    attack = GradientMatching(iterations=3, unknown=unknown)
    found = attacked("rate", images[0][:2], images[1][:2], attack)
    assert found.inputs.shape == (6, 2, *SHAPE)
    assert (found.inputs.dtype == torch.bool) is (unknown == "spikes")
    still = (found.inputs[0] == found.inputs[1]).all()
    assert bool(still) is (unknown == "picture")


def test_the_distance_of_the_private_images_is_nothing(images):
    """One step from where the search cannot begin better: what it leaves is rounding."""
    torch.manual_seed(0)
    net = direct().train()
    summed_cross_entropy(respond(net, images[0][:2]), images[1][:2]).backward()
    step = TrainingStep({n: p.grad for n, p in net.named_parameters()}, 2, 1)
    for distance in ("cosine", "euclidean"):
        attack = GradientMatching(distance=distance, total_variation=0)
        match = _Match(attack, Target(net, input_shape=SHAPE, classes=CLASSES), step)
        match.labels = images[1][:2]
        assert match.ask(images[0][:2])[0] < 1e-5
        assert match.ask(images[0][2:4])[0] > 1e-2


def test_counts_are_those_of_a_hand_worked_gradient():
    """A network that says one third of three classes, whatever it is given."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 3))
    for p in net.parameters():
        torch.nn.init.zeros_(p)
    labels = torch.tensor([0, 2, 2])
    cross_entropy(net(torch.rand(3, 2)), labels).backward()
    assert torch.allclose(net[0].bias.grad, torch.tensor([0.0, 1 / 3, -1 / 3]), atol=1e-6)
    step = TrainingStep({"0.bias": net[0].bias.grad.clone()})
    assert counted(net, step, torch.rand(3, 2), 3).tolist() == [0, 2, 2]


def test_restarts_keep_the_nearest(images):
    one, three = (
        GradientMatching(iterations=10, restarts=n, distance="euclidean", signed=False)
        for n in (1, 3)
    )
    found = [attacked("conv", images[0][:1], images[1][:1], a).inputs for a in (one, three)]
    assert not torch.equal(*found)


def test_bad_steps_are_refused_in_a_sentence(images, monkeypatch):
    attack = GradientMatching(iterations=1)
    net = ConvNet(SHAPE, CLASSES, kernel=3)
    target = Target(net, input_shape=SHAPE, classes=CLASSES)
    with pytest.raises(InputError, match="batch size is not known"):
        attack(target, TrainingStep({}))
    with pytest.raises(InputError, match="no gradient of any"):
        attack(target, TrainingStep({"other": torch.ones(2)}, 1, 1))
    nan = torch.full_like(net.conv1.weight, torch.nan)
    with pytest.raises(InputError, match="NaN"):
        attacked("conv", *images, attack, **{"conv1.weight": nan})
    monkeypatch.setattr(synapse, "EVENT_DRIVEN_BELOW", 1)
    wide = SpikingMLP(SHAPE, CLASSES, hidden=30, beta=0.7, surrogate=FastSigmoid(40))
    spikes = (torch.rand(4, 1, *SHAPE) < 0.5).float()
    summed_cross_entropy(wide(spikes), torch.tensor([1])).backward()
    step = TrainingStep({n: p.grad for n, p in wide.named_parameters()}, 1, 4)
    with pytest.raises(InputError, match="differentiated twice"):
        GradientMatching(iterations=1)(Target(wide, input_shape=SHAPE, classes=10), step)
