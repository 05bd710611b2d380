"""Networks of sinabs (Speck) and Rockpool (Xylo): lowered, spike for spike."""

import pytest
import torch
from adapting import check_target, spikes
from torch import nn

from brainleaks import InputError
from brainleaks.adapters import adapt
from brainleaks.adapters.order import Order

sl = pytest.importorskip("sinabs.layers")
sa = pytest.importorskip("sinabs.activation")
rockpool = pytest.importorskip("rockpool.nn.modules")
combinators = pytest.importorskip("rockpool.nn.combinators")
ONE = {"spike_fn": sa.SingleSpike}
TO_ZERO = ONE | {"reset_fn": sa.MembraneReset()}


def full(hidden, last):
    return nn.Sequential(nn.Flatten(2), nn.Linear(64, 40), hidden, nn.Linear(40, 10), last)


def speck(**settings):
    """As sinabs's tutorials write a network for Speck: rows of time steps, a batch of one."""
    neuron = {"batch_size": 1} | settings
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        sl.IAFSqueeze(**neuron),
        sl.SumPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 10, bias=False),
        sl.IAFSqueeze(**neuron),
    )


def repeated():
    return nn.Sequential(
        sl.Repeat(nn.Conv2d(1, 4, 3)),
        sl.LIF(tau_mem=5.0, tau_syn=3.0, norm_input=False, **TO_ZERO),
        sl.Repeat(nn.AvgPool2d(2)),
        nn.Flatten(2),
        nn.Linear(36, 10),
        sl.LIF(tau_mem=5.0, tau_syn=3.0, **TO_ZERO),
    )


class Counted(nn.Module):
    """Its forward pass sums over time, which is the second axis."""

    def __init__(self):
        super().__init__()
        self.net = full(sl.LIF(10.0, norm_input=False, **TO_ZERO), sl.ExpLeak(10.0))

    def forward(self, x):
        return self.net(x).sum(1)


def xylo(last, **settings):
    return combinators.Sequential(
        rockpool.LinearTorch((64, 40), has_bias=True),
        rockpool.LIFTorch(40, tau_mem=0.02, tau_syn=0.01, dt=1e-3, **settings),
        rockpool.LinearTorch((40, 10)),
        last(10, dt=1e-3),
    )


MULTIPLE, LEAKS = "several times in a step", "leak after"
#: Each network, and why its first neurons run in their own framework, if they do.
KINDS = {
    "LIF": (lambda: full(sl.LIF(10.0, norm_input=False), sl.LIF(10.0)), MULTIPLE),
    "LIF, soft": (lambda: full(sl.LIF(10.0, norm_input=False, **ONE), sl.ExpLeak(9.0)), LEAKS),
    "LIF, to zero": (lambda: full(sl.LIF(10.0, **TO_ZERO), sl.ExpLeak(9.0)), None),
    "LIF, synapse": (repeated, None),
    "IAF, once": (lambda: full(sl.IAF(**ONE), sl.IAF(**ONE)), None),
    "ALIF": (lambda: full(sl.ALIF(10.0, 10.0), sl.ExpLeak(9.0)), "not supported"),
    "Speck": (lambda: speck(min_v_mem=-1.0), "lower bound"),
    "Speck, once": (lambda: speck(**ONE), None),
    "counted": (Counted, None),
    "Xylo": (lambda: xylo(rockpool.LIFTorch), MULTIPLE),
    "Xylo, recurrent": (lambda: xylo(rockpool.ExpSynTorch, has_rec=True), MULTIPLE),
}


def made(name):
    torch.manual_seed(0)
    network = KINDS[name][0]()
    with torch.no_grad():
        for weight in (w for n, w in network.named_parameters() if n.endswith("weight")):
            weight.mul_(4 if "Xylo" not in name else 1)
    return network


@torch.no_grad()
def asked(name, network, samples):
    """What the framework answers, one sample after the other, ``(T, B, classes)`` if it has T."""
    answers = []
    for sample in samples.unbind(1):
        for part in (p for _, p in network.named_modules()):
            if isinstance(part, sl.StatefulLayer):
                part.reset_states()
        if "Xylo" in name:
            network.reset_state()
            answers.append(network(sample.flatten(1).unsqueeze(0))[0][0])
        elif "Speck" in name:
            answers.append(network(sample))
        else:
            answers.append(network(sample.unsqueeze(0))[0])
    return torch.stack(answers, 1 if answers[0].ndim == 2 else 0)


@pytest.mark.parametrize("name", KINDS)
def test_spike_for_spike(name):
    network, samples = made(name), spikes()
    adapted = adapt(network, samples=samples, classes=10)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert adapted.facts["parity"]["identical"]
    reason = adapted.facts["neurons"][0].get("not_lowered")
    assert (reason is None) if KINDS[name][1] is None else KINDS[name][1] in reason
    more = spikes(batch=9, steps=15, seed=1)
    expected = asked(name, network, more)
    with torch.no_grad():
        spiking, membrane = adapted.network(more)
    if expected.ndim == 2:
        torch.testing.assert_close(membrane.sum(0), expected, rtol=1e-5, atol=1e-5)
        return
    answer = spiking if adapted.facts["readout"] == "spikes" else membrane
    assert expected.abs().sum() > 0
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["LIF, to zero", "Speck", "Xylo"])
def test_a_target_takes_it(name):
    samples = spikes()
    check_target(adapt(made(name), samples=samples, classes=10).network, samples)


def test_the_batch_that_a_layer_holds_is_left_as_it_was():
    network = made("Speck")
    adapt(network, samples=spikes(), classes=10)
    assert network[1].batch_size == 1


def test_a_layer_that_its_framework_cannot_copy_is_refused():
    network = full(sl.LIFRecurrent(10.0, rec_connect=nn.Linear(40, 40)), sl.ExpLeak(9.0))
    with pytest.raises(InputError, match="cannot be copied"):
        adapt(network, samples=spikes(), classes=10)


@pytest.mark.parametrize("order", [Order(), Order(True), Order(rows=True), Order(True, rows=True)])
def test_orders(order):
    trace = torch.rand(5, 3, 2)
    assert torch.equal(order.take(order.put(trace), 5, 3), trace)
    assert order.take(torch.rand(7, 2, 2), 5, 3) is None
