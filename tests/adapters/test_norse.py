import norse.torch as norse
import pytest
import torch
from adapting import check_target, lively, spikes, trained
from norse.torch.functional.reset import reset_subtract
from torch import nn

from brainleaks import FastSigmoid, Target
from brainleaks.adapters import adapt, load_model


def box(**settings):
    settings = {"tau_mem_inv": torch.tensor(300.0)} | settings
    return norse.LIFBoxCell(norse.LIFBoxParameters(**settings))


def current(**settings):
    settings = {"tau_mem_inv": torch.tensor(400.0), "tau_syn_inv": torch.tensor(600.0)} | settings
    return norse.LIFCell(norse.LIFParameters(**settings))


def integrator(**settings):
    return norse.IAFCell(norse.IAFParameters(**settings))


def connected(make=box, last=None):
    network = norse.SequentialState(
        nn.Flatten(), nn.Linear(64, 40), make(), nn.Linear(40, 10, bias=False), (last or make)()
    )
    return lively(network, 5)


def convolutional(make=box, last=None):
    network = norse.SequentialState(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        make(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, padding=1),
        nn.AvgPool2d(2),
        make(),
        nn.Flatten(),
        nn.Linear(32, 10),
        (last or make)(),
    )
    return lively(network, 10)


class OwnLoop(nn.Module):
    """As Norse's examples have it: cells, their state in variables, the voltage as the answer."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif, self.fc2 = nn.Linear(64, 40), current(), nn.Linear(40, 10)
        self.out = norse.LICell()

    def forward(self, x):
        s1 = s2 = None
        voltages = []
        for step in x:
            z, s1 = self.lif(self.fc1(step.flatten(1)), s1)
            v, s2 = self.out(self.fc2(z), s2)
            voltages.append(v)
        return torch.stack(voltages)


def whole(**settings):
    """Layers with the loop over time inside."""
    p = norse.LIFParameters(tau_mem_inv=torch.tensor(400.0), **settings)
    return norse.LIF(p)


def asked(network, samples):
    """The framework's own answer, in a loop over time."""
    network.eval()
    state, trace = None, []
    with torch.no_grad():
        for step in samples:
            answer, state = network(step, state)
            trace.append(answer)
    return torch.stack(trace)


NEURONS = {
    "box": box,
    "box above rest": lambda: box(v_leak=torch.tensor(0.1), v_reset=torch.tensor(0.1)),
    "box tanh": lambda: box(method="tanh", v_th=torch.tensor(0.5)),
    "current": current,
    "current above rest": lambda: current(v_leak=torch.tensor(-0.2), v_reset=torch.tensor(-0.2)),
    "integrator": integrator,
    "integrator resetting below": lambda: integrator(v_reset=torch.tensor(-0.3)),
}


@pytest.mark.parametrize("make", [connected, convolutional])
@pytest.mark.parametrize("name", NEURONS)
def test_every_convention_gives_identical_spikes(make, name):
    network = make(NEURONS[name])
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.framework == "norse"
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    new = spikes(seed=1)
    expected = asked(network, new)
    assert 0.01 < expected.mean() < 0.99
    assert torch.equal(adapted.network(new).spikes, expected)
    check_target(adapted.network, new)


@pytest.mark.parametrize(
    "last",
    [
        norse.LIBoxCell,
        norse.LICell,
        lambda: norse.LIBoxCell(norse.LIBoxParameters(v_leak=torch.tensor(0.5))),
    ],
)
def test_voltages_as_the_answer(last):
    network = connected(last=last)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    response = adapted.network(spikes(seed=1))
    assert response.spikes is None
    expected = asked(network, spikes(seed=1))
    torch.testing.assert_close(response.membrane, expected, rtol=1e-4, atol=1e-6)
    assert adapted.facts["readout"] == "membrane"
    assert expected.abs().max() > 0.01
    check_target(adapted.network, spikes())


def test_a_loop_of_its_own():
    network = lively(OwnLoop(), 5)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    expected = network(spikes(seed=1))
    response = adapted.network(spikes(seed=1))
    torch.testing.assert_close(response.membrane, expected, rtol=1e-4, atol=1e-6)


def test_layers_with_the_loop_inside():
    network = norse.SequentialState(
        nn.Flatten(2), nn.Linear(64, 40), whole(), nn.Linear(40, 10), whole()
    )
    adapted = adapt(lively(network, 5), samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    expected = network(spikes(seed=1))[0]
    assert expected.mean() > 0.01
    assert torch.equal(adapted.network(spikes(seed=1)).spikes, expected)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: box(reset_method=reset_subtract), "applies the leak after the subtractive reset"),
        (lambda: box(v_reset=torch.tensor(0.2)), "resets to 0.2 but leaks to 0"),
        (lambda: box(v_th=torch.linspace(0.5, 1, 40)), "v_th varies"),
        (lambda: norse.LIFRecurrentCell(40, 40), "LIFRecurrentCell"),
        (lambda: norse.LIFAdExCell(), "LIFAdExCell"),
    ],
)
def test_neurons_that_the_operator_has_not_are_kept(make, why):
    network = norse.SequentialState(
        nn.Flatten(), nn.Linear(64, 40), make(), nn.Linear(40, 10), box()
    )
    adapted = adapt(lively(network, 5), samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert any(why in note and "step by step" in note for note in adapted.facts["notes"])
    new = spikes(seed=1)
    assert torch.equal(adapted.network(new).spikes, asked(network, new))


def test_surrogate_and_gradients_are_the_frameworks():
    """Norse 1.1's SuperSpike has slope 1 whatever its alpha."""
    network = connected(current)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.network.rest[0].membrane.surrogate == FastSigmoid(1.0)
    inputs = spikes(seed=2).requires_grad_()
    state, trace = None, []
    for step in inputs:
        answer, state = network(step, state)
        trace.append(answer[:, 3])
    wanted = torch.autograd.grad(torch.stack(trace).sum(), inputs)[0]
    gradient = torch.autograd.grad(adapted.network(inputs).spikes[..., 3].sum(), inputs)[0]
    assert wanted.abs().max() > 1e-3
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-4)


def build_connected():
    return connected(current, norse.LICell)


def build_convolutional():
    return convolutional(current, norse.LICell)


@pytest.mark.parametrize("make", [build_connected, build_convolutional])
def test_trained_saved_loaded(make, tmp_path):
    network = make()

    def answer(inputs):
        state, trace = None, []
        for step in inputs:
            voltage, state = network(step, state)
            trace.append(voltage)
        return 20 * torch.stack(trace).mean(0)

    samples, labels = trained(network, answer)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    adapted = load_model(
        tmp_path / "weights.pt",
        framework="norse",
        factory=f"test_norse:{make.__name__}",
        samples=samples,
        classes=10,
    )
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    torch.testing.assert_close(
        adapted.network(samples).membrane, asked(network, samples), rtol=1e-3, atol=1e-5
    )
    target = Target(adapted.network, input_shape=(1, 8, 8), classes=10)
    assert (target.labels(samples) == labels).float().mean() > 0.3  # chance is 0.1
