import pytest
import torch
from adapting import check_target, lively, spikes, trained
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

from brainleaks import ArcTan, FastSigmoid, Target
from brainleaks.adapters import adapt, load_model


def connected(make=neuron.LIFNode, step_mode="s", **settings):
    network = nn.Sequential(
        layer.Flatten(),
        layer.Linear(64, 40),
        make(**settings),
        layer.Linear(40, 10, bias=False),
        make(**settings),
    )
    functional.set_step_mode(network, step_mode)
    return lively(network, 4)


def convolutional(make=neuron.LIFNode, step_mode="m", **settings):
    network = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1),
        layer.BatchNorm2d(4),
        make(**settings),
        layer.MaxPool2d(2),
        layer.Conv2d(4, 8, 3, padding=1, bias=False),
        layer.AvgPool2d(2),
        make(**settings),
        layer.Dropout(0.5),
        layer.Flatten(),
        layer.Linear(32, 10),
        make(**settings),
    )
    functional.set_step_mode(network, step_mode)
    return lively(network, 8)


class Rates(nn.Module):
    """What SpikingJelly's examples do: the firing rate over time is the answer."""

    def __init__(self):
        super().__init__()
        self.layers = connected(step_mode="m")

    def forward(self, x):
        return self.layers(x).mean(0)


class OfImages(Rates):
    def forward(self, x):
        return self.layers(x.unsqueeze(0).repeat(6, 1, 1, 1, 1))


def asked(network, samples):
    """The framework's own answer."""
    network.eval()
    functional.reset_net(network)
    with torch.no_grad():
        if getattr(network[1], "step_mode", "s") == "m":
            return network(samples)
        return torch.stack([network(step) for step in samples])


SETTINGS = [
    {},
    {"tau": 3.0, "v_threshold": 0.6},
    {"tau": 1.5, "decay_input": False},
    {"v_reset": -0.25},
    {"v_reset": 0.25, "decay_input": False, "detach_reset": True},
    {"make": neuron.ParametricLIFNode, "init_tau": 2.5},
    {"make": neuron.ParametricLIFNode, "init_tau": 1.7, "decay_input": False},
    {"make": neuron.IFNode},
    {"make": neuron.IFNode, "v_reset": 0.2},
    {"make": neuron.IFNode, "v_reset": None, "v_threshold": 0.8},
]


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("make", [connected, convolutional])
@pytest.mark.parametrize("settings", SETTINGS)
def test_every_convention_gives_identical_spikes(make, step_mode, settings):
    settings = dict(settings)
    network = make(settings.pop("make", neuron.LIFNode), step_mode, **settings)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.framework == "spikingjelly"
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    new = spikes(seed=1)
    expected = asked(network, new)
    assert 0.01 < expected.mean() < 0.99
    assert torch.equal(adapted.network(new).spikes, expected)
    assert adapted.facts["readout"] == "spikes"
    check_target(adapted.network, new)


def test_a_membrane_at_the_threshold_fires():
    """Weights and inputs of 1 put the membrane on the threshold exactly."""
    network = nn.Sequential(layer.Flatten(), layer.Linear(64, 10, bias=False), neuron.IFNode())
    nn.init.zeros_(network[1].weight)
    network[1].weight.data[:, 0] = 1.0
    samples = spikes()
    samples[:, :, 0, 0, 0] = 1.0
    adapted = adapt(network, samples=samples, classes=10)
    assert adapted.lowered
    assert adapted.network(samples).spikes.all()
    assert adapted.facts["neurons"][0]["fires"] == "at the threshold and above"


@pytest.mark.parametrize("kind", [neuron.LIFNode, neuron.ParametricLIFNode])
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_leak_after_a_subtractive_reset_is_kept(kind, step_mode):
    network = connected(kind, step_mode, v_reset=None)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    told = "runs in its own framework, step by step: it applies the leak after the subtractive"
    assert sum(told in note for note in adapted.facts["notes"]) == 2
    assert torch.equal(adapted.network(spikes(seed=1)).spikes, asked(network, spikes(seed=1)))
    check_target(adapted.network, spikes())


def test_a_threshold_below_the_reset_is_kept():
    adapted = adapt(connected(v_threshold=-0.1), samples=spikes(), classes=10)
    notes = " ".join(adapted.facts["notes"])
    assert "threshold is below its resting potential" in notes


def test_currents_as_the_answer():
    """A last layer without neurons, as in SpikingJelly's regression and reinforcement examples."""
    network = connected(step_mode="m")[:-1]
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert adapted.facts["readout"] == "membrane"
    response = adapted.network(spikes(seed=1))
    assert response.spikes is None
    expected = asked(network, spikes(seed=1))
    torch.testing.assert_close(response.membrane, expected, rtol=1e-5, atol=1e-5)
    check_target(adapted.network, spikes())


def test_firing_rates_as_the_answer():
    network = Rates()
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert adapted.facts["parity"]["compared"] == "mean over time of the output spikes"
    assert adapted.facts["readout"] == "spikes"
    assert torch.equal(
        adapted.network(spikes(seed=1)).spikes, asked(network.layers, spikes(seed=1))
    )


def test_images_shown_for_the_networks_own_time():
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    network = OfImages()
    adapted = adapt(network, samples=images, classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    expected = asked(network.layers, images.expand(6, *images.shape))
    assert torch.equal(adapted.network(images).spikes, expected)


def test_layers_in_a_container_that_folds_time_into_the_batch():
    network = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)),
        neuron.LIFNode(step_mode="m"),
        layer.SeqToANNContainer(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 10)),
        neuron.LIFNode(step_mode="m"),
    )
    adapted = adapt(lively(network, 5), samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    check_target(adapted.network, spikes())


def test_votes_of_several_neurons_a_class():
    network = connected(step_mode="m")[:-2]
    network.append(layer.Linear(40, 30, step_mode="m"))
    network.append(neuron.LIFNode(step_mode="m"))
    network.append(layer.VotingLayer(3, step_mode="m"))
    adapted = adapt(lively(network, 4), samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    new = spikes(seed=1)
    expected = asked(network, new)
    assert 0.01 < expected.mean() < 0.99
    torch.testing.assert_close(adapted.network(new).membrane, expected)


@pytest.mark.parametrize(
    ("function", "expected", "told"),
    [
        (surrogate.ATan(3.0), ArcTan(3.0), "arctan, alpha 3.0"),
        (surrogate.SoftSign(2.0), FastSigmoid(2.0), "fast sigmoid, slope 2"),
        (surrogate.Sigmoid(4.0), ArcTan(2.0), "in place of Sigmoid(4.0)"),
        (surrogate.PiecewiseQuadratic(), ArcTan(2.0), "in place of PiecewiseQuadratic"),
    ],
)
def test_surrogates(function, expected, told):
    adapted = adapt(connected(surrogate_function=function), samples=spikes(), classes=10)
    assert adapted.network.rest[0].membrane.surrogate == expected
    assert told in adapted.facts["neurons"][0]["surrogate"]


@pytest.mark.parametrize("detached", [False, True])
def test_gradients_are_the_frameworks(detached):
    """With its ATan, which is ours; the membrane is not shown, so spikes are differentiated."""
    settings = {"surrogate_function": surrogate.ATan(2.0), "detach_reset": detached}
    network = connected(step_mode="m", **settings)
    adapted = adapt(network, samples=spikes(), classes=10)
    inputs = spikes(seed=2).requires_grad_()
    functional.reset_net(network)
    wanted = torch.autograd.grad(network(inputs)[..., 3].sum(), inputs)[0]
    response = adapted.network(inputs)
    assert torch.equal(response.spikes, (response.membrane >= 1).float())  # before the reset
    gradient = torch.autograd.grad(response.spikes[..., 3].sum(), inputs)[0]
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-5)


def build_connected():
    return connected(step_mode="m", surrogate_function=surrogate.ATan(), v_threshold=0.3)


def build_convolutional():
    return convolutional(step_mode="m", surrogate_function=surrogate.ATan(), v_threshold=0.3)


@pytest.mark.parametrize("make", [build_connected, build_convolutional])
def test_trained_saved_loaded(make, tmp_path):
    network = make()

    def answer(inputs):
        functional.reset_net(network)
        return 5 * network(inputs).mean(0)

    samples, labels = trained(network, answer)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    adapted = load_model(
        tmp_path / "weights.pt",
        framework=None,
        factory=f"test_spikingjelly:{make.__name__}",
        samples=samples,
        classes=10,
    )
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert torch.equal(adapted.network(samples).spikes, asked(network, samples))
    target = Target(adapted.network, input_shape=(1, 8, 8), classes=10, readout="spikes")
    assert (target.labels(samples) == labels).float().mean() > 0.3  # chance is 0.1
