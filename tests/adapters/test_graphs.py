"""Networks that are no chain, and neurons of every kind: lowered, spike for spike."""

import pytest
import torch
from adapting import check_target, lively, spikes
from torch import nn

from brainleaks.adapters import adapt

snn = pytest.importorskip("snntorch")
norse = pytest.importorskip("norse.torch")
sj = pytest.importorskip("spikingjelly.activation_based.neuron")
layer = pytest.importorskip("spikingjelly.activation_based.layer")
izhikevich = pytest.importorskip("norse.torch.functional.izhikevich")
functional = pytest.importorskip("spikingjelly.activation_based.functional")
HIDDEN = {"init_hidden": True}
PER_NEURON = torch.linspace(0.5, 0.95, 40)


def leaky(**settings):
    return snn.Leaky(**({"beta": 0.8} | HIDDEN | settings))


def torch_net(neuron, last=None):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 40), neuron, nn.Linear(40, 10), last or leaky(output=True)
    )


def jelly(neuron, step_mode="m"):
    network = nn.Sequential(
        layer.Flatten(), layer.Linear(64, 40), neuron, layer.Linear(40, 10), sj.LIFNode()
    )
    functional.set_step_mode(network, step_mode)
    return network


def states(*cells):
    return norse.SequentialState(
        nn.Flatten(), nn.Linear(64, 40), cells[0], nn.Linear(40, 10), cells[-1]
    )


def box():
    return norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.tensor(300.0)))


class Residual(nn.Module):
    """Two convolutions around a shortcut, joined in any way, and adaptive pooling."""

    def __init__(self, join, pool=None):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.lif1, self.lif2, self.lif3 = leaky(), leaky(), leaky()
        self.pool, self.join = pool or nn.AdaptiveAvgPool2d(1), join
        self.fc, self.out = nn.LazyLinear(10), leaky(output=True)

    def forward(self, x):
        first = self.lif1(self.norm1(self.conv1(x)))
        second = self.join(self, first, self.norm2(self.conv2(first)))
        return self.out(self.fc(self.pool(self.lif3(second)).flatten(1)))


JOINS = {
    "membrane shortcut": lambda net, first, second: first + second,
    "spike-element-wise add": lambda net, first, second: first + net.lif2(second),
    "spike-element-wise and": lambda net, first, second: first * net.lif2(second),
    "concatenation": lambda net, first, second: torch.cat([first, net.lif2(second)], 1),
}


class Population(nn.Module):
    """Five output neurons a class, summed in the forward pass."""

    def __init__(self, form):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(64, 40), leaky()
        self.fc2, self.lif2 = nn.Linear(40, 50), leaky()
        self.form = form

    def forward(self, x):
        return self.form(self.lif2(self.fc2(self.lif1(self.fc1(x.flatten(1))))))


class OwnState(nn.Module):
    """A recurrent layer whose state is in variables, as in snnTorch's tutorials."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(64, 40), snn.RLeaky(0.8, linear_features=40)
        self.fc2, self.lif2 = nn.Linear(40, 10), snn.Leaky(0.8)

    def forward(self, x):
        spk1, mem1, mem2 = *self.lif1.init_rleaky(), self.lif2.init_leaky()
        steps = []
        for step in x:
            spk1, mem1 = self.lif1(self.fc1(step.flatten(1)), spk1, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            steps.append(spk2)
        return torch.stack(steps)


class Parallel(nn.Module):
    """A layer that takes all time steps in a call, before one that does not."""

    def __init__(self):
        super().__init__()
        self.hidden = snn.LeakyParallel(64, 40, beta=0.8)
        self.fc, self.out = nn.Linear(40, 10), leaky()

    def forward(self, x):
        return torch.stack([self.out(self.fc(step)) for step in self.hidden(x.flatten(2))])


class BehindReLU(nn.Module):
    """Ordinary layers before a spiking head."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2))
        self.lif1, self.fc, self.out = leaky(), nn.Linear(64, 10), leaky(output=True)

    def forward(self, x):
        return self.out(self.fc(self.lif1(self.features(x)).flatten(1)))


KINDS = {
    "Leaky": lambda: torch_net(leaky()),
    "Leaky, a decay a neuron": lambda: torch_net(leaky(beta=PER_NEURON)),
    "Leaky, a threshold a neuron": lambda: torch_net(leaky(threshold=PER_NEURON)),
    "Leaky, learned decay": lambda: torch_net(leaky(learn_beta=True)),
    "Synaptic": lambda: torch_net(snn.Synaptic(0.6, 0.8, **HIDDEN)),
    "Synaptic, to zero": lambda: torch_net(
        snn.Synaptic(0.6, 0.8, reset_mechanism="zero", **HIDDEN)
    ),
    "Alpha": lambda: torch_net(snn.Alpha(alpha=0.9, beta=0.8, threshold=0.3, **HIDDEN)),
    "Lapicque": lambda: torch_net(snn.Lapicque(beta=0.8, **HIDDEN)),
    "RLeaky": lambda: torch_net(snn.RLeaky(0.8, linear_features=40, **HIDDEN)),
    "RSynaptic": lambda: torch_net(snn.RSynaptic(0.6, 0.8, linear_features=40, **HIDDEN)),
    "RLeaky, its own loop": OwnState,
    "LeakyParallel": Parallel,
    "LIFNode": lambda: jelly(sj.LIFNode()),
    "LIFNode, soft reset": lambda: jelly(sj.LIFNode(v_reset=None)),
    "LIFNode, soft reset, steps": lambda: jelly(sj.LIFNode(v_reset=None), "s"),
    "ParametricLIFNode": lambda: jelly(sj.ParametricLIFNode()),
    "IFNode": lambda: jelly(sj.IFNode()),
    "QIFNode": lambda: jelly(sj.QIFNode()),
    "EIFNode": lambda: jelly(sj.EIFNode()),
    "IzhikevichNode": lambda: jelly(sj.IzhikevichNode()),
    "recurrent container": lambda: jelly(
        layer.LinearRecurrentContainer(sj.LIFNode(), in_features=40, out_features=40)
    ),
    "element-wise container": lambda: jelly(
        layer.ElementWiseRecurrentContainer(sj.IFNode(), lambda a, b: a + 0.5 * b)
    ),
    "LIFBoxCell": lambda: states(box(), box()),
    "LIFRecurrentCell": lambda: states(norse.LIFRecurrentCell(40, 40), box()),
    "LSNNCell": lambda: states(norse.LSNNCell(), box()),
    "LSNNRecurrentCell": lambda: states(norse.LSNNRecurrentCell(40, 40), box()),
    "IzhikevichCell": lambda: states(norse.IzhikevichCell(izhikevich.tonic_spiking), box()),
    "LIFAdExCell": lambda: states(norse.LIFAdExCell(), box()),
    "LIFExCell": lambda: states(norse.LIFExCell(), box()),
    "behind ReLU": BehindReLU,
    **{name: lambda join=join: Residual(join) for name, join in JOINS.items()},
    "adaptive maximum": lambda: Residual(JOINS["membrane shortcut"], nn.AdaptiveMaxPool2d(2)),
    "up-sampling": lambda: Residual(JOINS["membrane shortcut"], nn.Upsample(scale_factor=2)),
    "population sum": lambda: Population(lambda s: s.view(len(s), 10, 5).sum(-1)),
    "population mean, interleaved": lambda: Population(lambda s: s.view(len(s), 5, 10).mean(1)),
}

#: Whose membranes are in millivolts.
GAINS = {"IzhikevichCell": 2000}


def made(name):
    torch.manual_seed(0)
    network = KINDS[name]()
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.LazyLinear):
                reset(network)
                network(spikes()[0])
    return lively(network, GAINS.get(name, 5))


def reset(network):
    for part in network.modules():
        for name in ("reset_mem", "reset"):
            if hasattr(part, name) and not isinstance(part, nn.Sequential):
                getattr(part, name)()
                break


def asked(network, samples):
    """The framework's own answer: its whole loop, or one of ours."""
    network.eval()
    reset(network)
    whole = isinstance(network, OwnState | Parallel)
    whole = whole or getattr(network[1] if isinstance(network, nn.Sequential) else network,
                             "step_mode", "s") == "m"  # fmt: skip
    with torch.no_grad():
        if whole:
            return network(samples)
        state, trace = None, []
        for step in samples:
            carries = isinstance(network, norse.SequentialState)
            output = network(step, state) if carries else network(step)
            state = output[1] if carries else None
            trace.append(output[0] if isinstance(output, tuple) else output)
        return torch.stack(trace)


@pytest.mark.parametrize("name", KINDS)
def test_spikes_are_identical(name):
    network = made(name)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    new = spikes(seed=1)
    expected = asked(network, new)
    assert expected.any()
    spikes_, membrane = adapted.network(new)
    torch.testing.assert_close(membrane if spikes_ is None else spikes_, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", [*JOINS, "RLeaky", "population sum", "behind ReLU"])
def test_gradients_reach_the_inputs(name):
    adapted = adapt(made(name), samples=spikes(), classes=10)
    check_target(adapted.network, spikes())


@pytest.mark.parametrize("name", ["membrane shortcut", "RLeaky", "recurrent container"])
def test_it_can_be_trained_anew(name):
    """Its weights get gradients, and a copy trains alone."""
    import copy

    adapted = adapt(made(name), samples=spikes(), classes=10)
    anew = copy.deepcopy(adapted.network).requires_grad_()
    before = {key: value.clone() for key, value in adapted.network.state_dict().items()}
    optimiser = torch.optim.SGD(anew.parameters(), 0.1)
    anew.train()(spikes()).membrane.sum().backward()
    optimiser.step()
    changed = [not torch.equal(value, before[key]) for key, value in anew.state_dict().items()]
    assert sum(changed) >= 3
    for key, value in adapted.network.state_dict().items():
        assert torch.equal(value, before[key])
