import itertools

import pytest
import snntorch as snn
import torch
from adapting import check_target, lively, spikes, trained
from snntorch import surrogate
from torch import nn
from torch.nn import functional

from brainleaks import ArcTan, FastSigmoid, InputError, Target
from brainleaks.adapters import adapt, load_model
from brainleaks.attacks.objectives import confidence
from brainleaks.neuron import RecurrentLIF


def connected(**settings):
    settings = {"beta": 0.8, "init_hidden": True} | settings
    return lively(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 40),
            snn.Leaky(**settings),
            nn.Linear(40, 10, bias=False),
            snn.Leaky(**settings, output=True),
        )
    )


def convolutional(**settings):
    settings = {"beta": 0.8, "init_hidden": True} | settings
    return lively(
        nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            snn.Leaky(**settings),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, padding=1, bias=False),
            nn.AvgPool2d(2),
            snn.Leaky(**settings),
            nn.Flatten(),
            nn.Linear(32, 10),
            snn.Leaky(**settings, output=True),
        ),
        gain=4,
    )


class Hidden(nn.Module):
    """State outside the neurons; one step a call, or the whole recording, or an image."""

    def __init__(self, neuron=snn.Leaky, **settings):
        super().__init__()
        settings = {"beta": 0.8} | settings
        self.fc1, self.lif1 = nn.Linear(64, 40), neuron(**settings)
        self.fc2, self.lif2 = nn.Linear(40, 10), neuron(**settings)


class OneStep(Hidden):
    def forward(self, x, mem1, mem2):
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


class OwnLoop(Hidden):
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for step in x:
            spk1, mem1 = self.lif1(self.fc1(step.flatten(1)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


class OwnLoopOfLists(OwnLoop):
    def forward(self, x):
        return tuple(list(trace) for trace in super().forward(x))


class OfImages(OwnLoop):
    def forward(self, x):
        return super().forward(x.expand(7, *x.shape))


class Functional(nn.Module):
    def __init__(self, change=lambda x: x):
        super().__init__()
        self.conv, self.lif1 = nn.Conv2d(1, 4, 3), snn.Leaky(0.8, init_hidden=True)
        self.fc, self.lif2 = nn.Linear(36, 10), snn.Leaky(0.8, init_hidden=True)
        self.change = change

    def forward(self, x):
        x = self.lif1(functional.max_pool2d(self.conv(x), 2))
        return self.lif2(self.fc(self.change(x).flatten(1)))


def stepped(network, samples):
    """The framework's own answer, in a loop over time."""
    network.eval()
    for layer in network.modules():
        if isinstance(layer, snn.Leaky | snn.Synaptic):
            layer.reset_mem()
    with torch.no_grad():
        answers = [network(step) for step in samples]
    return torch.stack([a[0] for a in answers]), torch.stack([a[-1] for a in answers])


@pytest.mark.parametrize(
    ("make", "reset", "delay"),
    list(
        itertools.product((connected, convolutional), ("subtract", "zero", "none"), (True, False))
    ),
)
def test_every_reset_gives_identical_spikes(make, reset, delay):
    network = make(reset_mechanism=reset, reset_delay=delay, threshold=0.7)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.framework == "snntorch"
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    new = spikes(seed=1)
    expected = stepped(network, new)
    response = adapted.network(new)
    assert 0.02 < expected[0].mean() < 0.98
    assert torch.equal(response.spikes, expected[0])
    torch.testing.assert_close(response.membrane, expected[1], rtol=1e-4, atol=1e-5)
    parity = adapted.facts["parity"]
    assert (parity["identical"], parity["differing"], parity["samples"]) == (True, 0, 6)
    assert adapted.facts["neurons"][0]["reset"] == reset
    check_target(adapted.network, new)


@pytest.mark.parametrize("make", [OneStep, OwnLoop, OwnLoopOfLists])
def test_hidden_state_outside(make):
    network = lively(make())
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    expected = adapt(lively(OwnLoop()), samples=spikes(), classes=10).network(spikes(seed=1))
    assert torch.equal(adapted.network(spikes(seed=1)).spikes, expected.spikes)
    assert expected.spikes.mean() > 0.02


def test_images_shown_for_the_networks_own_time():
    network = lively(OfImages())
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    adapted = adapt(network, samples=images, classes=10)
    assert adapted.lowered
    assert not adapted.network.spiking
    response = adapted.network(images)
    assert torch.equal(response.spikes, network(images)[0])
    assert response.spikes.shape == (7, 5, 10)
    check_target(adapted.network, images)


def test_functions_between_layers_are_found():
    network = lively(Functional())
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    check_target(adapted.network, spikes())


class SharedPool(nn.Module):
    """One pooling at two places, one step a call or its own loop."""

    def __init__(self, shared_neuron=False):
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.conv1, self.lif1 = nn.Conv2d(1, 4, 3, padding=1), snn.Leaky(0.8, init_hidden=True)
        self.conv2, self.lif2 = nn.Conv2d(4, 4, 3, padding=1), snn.Leaky(0.8, init_hidden=True)
        self.fc, self.lif3 = nn.Linear(16, 10), snn.Leaky(0.8, init_hidden=True, output=True)
        self.lif2 = self.lif1 if shared_neuron else self.lif2

    def forward(self, x):
        x = self.lif1(self.pool(self.conv1(x)))
        x = self.lif2(self.pool(self.conv2(x)))
        return self.lif3(self.fc(x.flatten(1)))


def test_one_layer_at_two_places():
    network = lively(SharedPool(), 4)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    expected = stepped(network, spikes(seed=1))[0]
    assert expected.mean() > 0.01
    assert torch.equal(adapted.network(spikes(seed=1)).spikes, expected)
    adapted = adapt(lively(SharedPool(True), 4), samples=spikes(), classes=10)
    assert "lif1 is called 24 times in 12" in adapted.facts["why_not_lowered"]


def test_what_is_no_chain_is_left_as_it_is():
    network = lively(Functional(lambda x: 0.9 * x))
    adapted = adapt(network, samples=spikes(), classes=10)
    assert not adapted.lowered
    assert "between lif1 and fc, an operation other" in adapted.facts["why_not_lowered"]
    gradient = check_target(adapted.network, spikes())
    assert gradient.shape == spikes().shape


@pytest.mark.parametrize("delay", [True, False])
def test_synaptic_neurons(delay):
    settings = {"alpha": 0.6, "beta": 0.7, "init_hidden": True, "reset_delay": delay}
    network = lively(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 30),
            snn.Synaptic(**settings),
            nn.Linear(30, 10),
            snn.Synaptic(**settings, output=True),
        )
    )
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    expected = stepped(network, spikes(seed=1))
    assert torch.equal(adapted.network(spikes(seed=1)).spikes, expected[0])
    check_target(adapted.network, spikes())


def test_recurrent_neurons_run_in_the_operator():
    layers = [
        nn.Flatten(),
        nn.Linear(64, 40),
        snn.RLeaky(0.8, linear_features=40, init_hidden=True),
    ]
    network = nn.Sequential(*layers, nn.Linear(40, 10), snn.Leaky(0.8, init_hidden=True))
    adapted = adapt(lively(network), samples=spikes(), classes=10)
    assert not any("step by step" in note for note in adapted.facts["notes"])
    assert any(isinstance(part, RecurrentLIF) for part in adapted.network.modules())
    assert network[2].recurrent.bias.requires_grad
    network.eval()
    network[2].reset_mem()
    network[4].reset_mem()
    expected = torch.stack([network(step) for step in spikes()])
    assert torch.equal(adapted.network(spikes()).spikes, expected)


@pytest.mark.parametrize(
    ("neuron", "why"),
    [
        (lambda: snn.Leaky(torch.linspace(0.5, 0.9, 40), init_hidden=True), "beta varies"),
        (lambda: snn.Leaky(0.8, init_hidden=True, graded_spikes_factor=2.0), "graded"),
        (lambda: snn.Leaky(0.8, init_hidden=True, state_quant=lambda m: m.round()), "state_quant"),
        (
            lambda: snn.RLeaky(0.8, linear_features=40, init_hidden=True, reset_mechanism="zero"),
            "it is recurrent",
        ),
        (lambda: snn.RLeaky(0.8, V=0.3, all_to_all=False, init_hidden=True), "RecurrentOneToOne"),
        (lambda: snn.Lapicque(0.8, init_hidden=True), "Lapicque"),
        (
            lambda: snn.Synaptic(0.5, 0.8, init_hidden=True, reset_mechanism="zero"),
            "clears the synaptic current",
        ),
    ],
)
def test_neurons_that_the_operator_has_not_are_kept(neuron, why):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 40), neuron(), nn.Linear(40, 10))
    network.append(snn.Leaky(0.8, init_hidden=True))
    adapted = adapt(lively(network), samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert any(why in note and "step by step" in note for note in adapted.facts["notes"])
    response = adapted.network(spikes())
    network.eval()
    for layer in network.modules():
        if isinstance(layer, snn.SpikingNeuron):
            layer.reset_mem()
    expected = torch.stack([network(step) for step in spikes()])
    assert expected.mean() > 0.01
    assert torch.equal(response.spikes, expected)
    assert torch.equal(adapted.network(spikes()).spikes, response.spikes)
    Target(adapted.network, input_shape=(1, 8, 8), classes=10).scores(spikes())


@pytest.mark.parametrize(
    ("function", "expected", "told"),
    [
        (surrogate.fast_sigmoid(13), FastSigmoid(13), "fast sigmoid, slope 13"),
        (surrogate.atan(3.0), ArcTan(3.0), "arctan, alpha 3.0"),
        (surrogate.sigmoid(5), ArcTan(2.0), "in place of sigmoid"),
    ],
)
def test_surrogates(function, expected, told):
    adapted = adapt(connected(spike_grad=function), samples=spikes(), classes=10)
    assert adapted.network.rest[0].membrane.surrogate == expected
    assert told in adapted.facts["neurons"][0]["surrogate"]


def test_gradients_are_the_frameworks():
    network = connected(spike_grad=surrogate.fast_sigmoid(10))
    adapted = adapt(network, samples=spikes(), classes=10)
    inputs = spikes(seed=2).requires_grad_()
    for layer in (network[2], network[4]):
        layer.reset_mem()
    trace = torch.stack([network(step)[1] for step in inputs])
    probability = trace.softmax(-1).mean(0)[range(6), range(6)].sum()
    (wanted,) = torch.autograd.grad(probability, inputs)
    target = Target(adapted.network, input_shape=(1, 8, 8), classes=10)
    entry = target.entry(inputs.detach())
    _, gradient = target.gradient(entry, torch.arange(6), confidence)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("make", [connected, convolutional])
def test_trained_saved_loaded(make, tmp_path, monkeypatch):
    network = make()

    def answer(inputs):
        for layer in network.modules():
            if isinstance(layer, snn.Leaky):
                layer.reset_mem()
        return torch.stack([network(step)[1] for step in inputs]).mean(0)

    samples, labels = trained(network, answer)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "its_model.py").write_text("from test_snntorch import connected, convolutional\n")
    monkeypatch.chdir(tmp_path)
    adapted = load_model(
        tmp_path / "weights.pt",
        framework="snntorch",
        factory=f"its_model:{make.__name__}",
        samples=samples,
        classes=10,
    )
    monkeypatch.delitem(__import__("sys").modules, "its_model")
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert torch.equal(adapted.network(samples).spikes, stepped(network, samples)[0])
    target = Target(adapted.network, input_shape=(1, 8, 8), classes=10)
    assert (target.labels(samples) == labels).float().mean() > 0.3  # chance is 0.1


def test_weights_of_another_reset_are_refused(tmp_path):
    torch.save(connected(reset_mechanism="zero").state_dict(), tmp_path / "weights.pt")
    with pytest.raises(InputError, match="2 resets by 'zero', the factory builds it with"):
        load_model(
            tmp_path / "weights.pt",
            framework=None,
            factory="test_snntorch:connected",
            samples=spikes(),
            classes=10,
        )


def test_the_network_is_left_as_it_was():
    network = connected().train()
    adapt(network, samples=spikes(), classes=10)
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
