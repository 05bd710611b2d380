import itertools

import pytest
import snntorch
import torch
from snntorch import surrogate as snntorch_surrogate

from brainleaks.neuron import LIF, ArcTan, FastSigmoid, lif
from brainleaks.neuron import dynamics as neuron
from gpu import NEEDS_GPU

RESETS = ("subtract", "zero", "none")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


class _Float64FastSigmoid(torch.autograd.Function):
    """snnTorch's own surrogate rounds spikes to float32, and with them what flows through them."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (40 * x.abs() + 1) ** 2


class _Float64ArcTan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (1.5 / 2) / (1 + (torch.pi / 2 * 1.5 * x) ** 2)


REFERENCE = {
    (torch.float32, "fast-sigmoid"): snntorch_surrogate.fast_sigmoid(40),
    (torch.float32, "arctan"): snntorch_surrogate.atan(1.5),
    (torch.float64, "fast-sigmoid"): _Float64FastSigmoid.apply,
    (torch.float64, "arctan"): _Float64ArcTan.apply,
}


@pytest.fixture(params=["compiled", "plain", pytest.param("gpu", marks=NEEDS_GPU)])
def scan(request, monkeypatch):
    """Every way of running the recursion: as :func:`lif`, from the CPU and back to it."""
    if request.param == "plain":
        monkeypatch.setattr(neuron, "_cpu", None)
    elif request.param == "gpu":
        assert neuron._scan_on_gpu() is not None
        return lambda current, **how: [part.cpu() for part in lif(current.cuda(), **how)]
    else:
        assert neuron._cpu is not None
    return lif


def stepped(current, dtype, surrogate, reset, delay, threshold):
    """snnTorch's Leaky in a loop over time."""
    layer = snntorch.Leaky(
        torch.tensor(0.7, dtype=dtype),
        threshold=torch.tensor(threshold, dtype=dtype),
        spike_grad=REFERENCE[dtype, surrogate.surrogate],
        reset_mechanism=reset,
        reset_delay=delay,
    )
    membrane = torch.zeros_like(current[0])
    spikes, trace = [], []
    for step in current:
        spike, membrane = layer(step, membrane)
        spikes.append(spike)
        trace.append(membrane)
    return torch.stack(spikes), torch.stack(trace)


@pytest.mark.parametrize(
    ("dtype", "reset", "delay", "surrogate", "threshold"),
    list(
        itertools.product(
            TOLERANCE, RESETS, (True, False), (FastSigmoid(40), ArcTan(1.5)), (1.0, 0.4)
        )
    ),
)
def test_equals_snntorch(scan, dtype, reset, delay, surrogate, threshold):
    generator = torch.Generator().manual_seed(0)
    current = 1.2 * torch.randn(30, 4, 50, dtype=dtype, generator=generator) + 0.2
    current.requires_grad_()
    expected = stepped(current, dtype, surrogate, reset, delay, threshold)
    found = scan(
        current,
        beta=0.7,
        threshold=threshold,
        surrogate=surrogate,
        reset=reset,
        reset_delay=delay,
    )
    assert 0.05 < found[0].mean() < 0.95
    assert torch.equal(found[0], expected[0].to(dtype))
    torch.testing.assert_close(found[1], expected[1], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    weights = torch.randn(2, *current.shape, dtype=dtype, generator=generator)
    for use_spikes, use_membrane in ((1, 0), (0, 1), (1, 1)):

        def loss(response, a=use_spikes, b=use_membrane):
            parts = [(weights[0] * response[0]).sum()] * a + [(weights[1] * response[1]).sum()] * b
            return sum(parts)

        (wanted,) = torch.autograd.grad(loss(expected), current, retain_graph=True)
        (gradient,) = torch.autograd.grad(loss(found), current, retain_graph=True)
        tolerance = TOLERANCE[dtype] * float(wanted.abs().max())
        torch.testing.assert_close(gradient, wanted, rtol=TOLERANCE[dtype], atol=tolerance)


def test_hand_worked(scan):
    current = torch.tensor([[0.5], [0.9], [2.0], [0.0]], dtype=torch.float64)
    spikes, membrane = scan(current, beta=0.5, surrogate=FastSigmoid(25))
    # .5; .25+.9=1.15 fires; .575+2-1=1.575 fires; .7875-1
    assert membrane.flatten().tolist() == pytest.approx([0.5, 1.15, 1.575, -0.2125])
    assert spikes.flatten().tolist() == [0, 1, 1, 0]


def test_membrane_at_threshold_does_not_fire(scan):
    spikes, _ = scan(torch.ones(1, 3), beta=0.9, surrogate=FastSigmoid())
    assert not spikes.any()


@pytest.mark.parametrize("surrogate", [FastSigmoid(40), ArcTan(1.5)])
def test_surrogate_formula(scan, surrogate):
    current = torch.linspace(0, 2, 41, dtype=torch.float64).unsqueeze(0).requires_grad_()
    spikes, _ = scan(current, beta=0.7, surrogate=surrogate)
    (gradient,) = torch.autograd.grad(spikes.sum(), current)
    distance = current.detach() - 1
    if surrogate.surrogate == "fast-sigmoid":
        expected = 1 / (40 * distance.abs() + 1) ** 2
    else:
        expected = 0.75 / (1 + (torch.pi / 2 * 1.5 * distance) ** 2)
    torch.testing.assert_close(gradient, expected)


def unrolled(current, surrogate, reset):
    """The recursion as the module states it, by elementwise operations that autograd knows."""
    state, spikes, membrane = torch.zeros_like(current[0]), [], []
    for now in current:
        fired = (state.detach() > 1).to(now)
        kept = 0.7 * state * (1 - fired if reset == "zero" else 1)
        state = kept + now - (fired if reset == "subtract" else 0)
        spikes.append(surrogate(state - 1))
        membrane.append(state)
    return torch.stack(spikes), torch.stack(membrane)


@pytest.mark.parametrize("reset", RESETS)
def test_second_derivatives_are_those_of_the_steps(scan, reset):
    torch.manual_seed(0)
    values, pull = torch.randn(7, 5, dtype=torch.float64), torch.randn(7, 5, dtype=torch.float64)
    ways = (
        lambda current: scan(current, beta=0.7, surrogate=FastSigmoid(40), reset=reset),
        lambda current: unrolled(current, _Float64FastSigmoid.apply, reset),
    )
    found = []
    for way in ways:
        current = values.clone().requires_grad_()
        spikes, membrane = way(current)
        value = (spikes * pull).sum() + (membrane**2 * pull).sum() + (spikes * membrane).sum()
        (first,) = torch.autograd.grad(value, current, create_graph=True)
        found.append(torch.autograd.grad((first**3).sum(), current)[0])
    assert torch.allclose(*found, rtol=1e-8)


def test_an_immediate_reset_has_no_second_derivatives(scan):
    current = torch.randn(3, 2, requires_grad=True)
    spikes, _ = scan(current, beta=0.7, surrogate=FastSigmoid(40), reset_delay=False)
    with pytest.raises(NotImplementedError, match="delayed reset"):
        torch.autograd.grad(spikes.sum(), current, create_graph=True)


def test_neurons_are_independent(scan):
    """Any split of the batch, and any memory order, gives the same numbers."""
    current = torch.randn(12, 3, 700, generator=torch.Generator().manual_seed(1))
    whole = scan(current, beta=0.8, surrogate=FastSigmoid())
    parts = [scan(current[:, i], beta=0.8, surrogate=FastSigmoid()) for i in range(3)]
    strided = scan(current.transpose(1, 2), beta=0.8, surrogate=FastSigmoid())
    for k in (0, 1):
        assert torch.equal(whole[k], torch.stack([part[k] for part in parts], 1))
        assert torch.equal(whole[k], strided[k].transpose(1, 2))


def test_half_precision_takes_the_plain_scan():
    spikes, membrane = lif(torch.ones(3, 2, dtype=torch.bfloat16), beta=0.5, surrogate=ArcTan())
    assert spikes.dtype == membrane.dtype == torch.bfloat16
    assert membrane[:, 0].tolist() == [1.0, 1.5, 0.75]


@pytest.mark.parametrize("shape", [(0, 3), (4, 0)])
def test_nothing_in_nothing_out(scan, shape):
    spikes, membrane = scan(torch.zeros(shape), beta=0.5, surrogate=ArcTan())
    assert spikes.shape == membrane.shape == shape


def test_module_is_the_function():
    current = torch.randn(5, 2, 3)
    layer = LIF(beta=0.6, threshold=0.5, surrogate=ArcTan(), reset="zero", reset_delay=False)
    expected = lif(
        current, beta=0.6, threshold=0.5, surrogate=ArcTan(), reset="zero", reset_delay=False
    )
    assert all(torch.equal(a, b) for a, b in zip(layer(current), expected, strict=True))
    assert "beta=0.6" in repr(layer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 1.5}, "beta is 1.5"),
        ({"reset": "hard"}, "reset is 'hard'"),
        ({"current": torch.ones(3, 2, dtype=torch.int64)}, "floating point"),
        ({"current": torch.tensor(1.0)}, "time first"),
    ],
)
def test_refuses(change, message):
    settings = {"current": torch.ones(3, 2), "beta": 0.5, "surrogate": ArcTan()} | change
    with pytest.raises(ValueError, match=message):
        lif(settings.pop("current"), **settings)
