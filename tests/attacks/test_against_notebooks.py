"""Each attack against an independent transcription of the notebooks' loop, fed the same numbers."""

import pytest
import torch

from brainleaks import BrainLeaksV1, BrainLeaksV2, Target
from brainleaks.attacks import Fredrikson
from brainleaks.networks import MLP
from brainleaks.randomness import class_uniform, draw_seed
from notebook_way import NotebookSNN, brainleaks_v1, brainleaks_v2

LABELS = torch.arange(6)
SHAPE = (9, 1, 20)


@pytest.fixture
def notebook_network(small_snn):
    network = NotebookSNN(20, 40, 6)
    network.load_state_dict(small_snn.state_dict(), strict=False)
    return network


def uniforms(seed, shape):
    def draw(iteration, label):
        return class_uniform(seed, iteration, torch.tensor([label]), shape, like=torch.zeros(()))[0]

    return draw


def base_seed():
    return draw_seed(torch.Generator().manual_seed(11))


def test_v1(small_snn, notebook_network):
    target = Target(small_snn, input_shape=(1, 4, 5), classes=6)
    attack = BrainLeaksV1(iterations=5, time_steps=9)
    found = attack(target, LABELS, generator=torch.Generator().manual_seed(11))
    assert found.shape == (9, 6, 1, 4, 5)
    for label in LABELS.tolist():
        expected = brainleaks_v1(
            notebook_network, label, uniforms(base_seed(), SHAPE), iterations=5, shape=SHAPE
        )
        # rounding may move the rare spike whose draw falls on its probability
        assert (found[:, label].flatten(1) != expected.squeeze(1)).float().mean() < 0.01


@pytest.mark.parametrize(
    ("settings", "notebook"),
    [
        ({}, {}),
        (
            {"cost": "log-likelihood", "accumulator": "decays", "sparsity": 0.3, "alpha": 0.3,
             "learning_rate": 0.1, "epsilon": 1e-12},
            {"log_likelihood": True, "decays": True, "sparsity": 0.3, "alpha": 0.3,
             "learning_rate": 0.1, "epsilon": 1e-12},
        ),
    ],
)  # fmt: skip
def test_v2(small_snn, notebook_network, settings, notebook):
    target = Target(small_snn, input_shape=(1, 4, 5), classes=6)
    attack = BrainLeaksV2(population=3, iterations=4, time_steps=9, **settings)
    found = attack(target, LABELS, generator=torch.Generator().manual_seed(11))
    assert found.min() >= 0
    assert found.max() <= 1
    draw = uniforms(base_seed(), (9, 3, 1, 4, 5))
    for label in LABELS.tolist():
        expected = brainleaks_v2(
            notebook_network,
            label,
            lambda i, c: draw(i, c).transpose(0, 1).reshape(3, *SHAPE),
            iterations=4,
            shape=SHAPE,
            population=3,
            **notebook,
        )
        torch.testing.assert_close(
            found[:, label].flatten(1), expected.squeeze(1), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize(
    ("clamp", "scale", "rate", "threshold", "patience", "reasons"),
    [
        (False, 2, 5.0, 0.01, 100, {"iterations"}),
        (True, 2, 5.0, 0.01, 100, {"iterations"}),
        (False, 2, 5.0, 0.75, 100, {"threshold"}),
        (False, 15, 1.0, 0.0, 3, {"patience", "iterations"}),
    ],
)
def test_fredrikson(clamp, scale, rate, threshold, patience, reasons):
    """Every way of stopping is taken; steep weights overshoot and wear patience out."""
    torch.manual_seed(0)
    network = MLP((1, 4, 5), 6, hidden=30)
    with torch.no_grad():
        network.fc1.weight.mul_(scale)
        network.fc2.weight.mul_(scale)
    target = Target(network, input_shape=(1, 4, 5), classes=6)
    attack = Fredrikson(
        iterations=20, learning_rate=rate, clamp=clamp, threshold=threshold, patience=patience
    )
    found, stopped_by = attack(target, LABELS), set()
    for label in LABELS.tolist():
        x, last, waited = torch.zeros(1, 1, 4, 5), float("inf"), 0
        for _ in range(20):
            x = x.requires_grad_()
            cost = 1 - network(x).softmax(-1)[0, label]
            (gradient,) = torch.autograd.grad(cost, x)
            waited = 0 if cost.item() < last else waited + 1
            last = cost.item()
            if last <= threshold or waited >= patience:
                stopped_by.add("threshold" if last <= threshold else "patience")
                break
            x = (x - rate * gradient).detach()
            x = x.clamp(0, 1) if clamp else x
        else:
            stopped_by.add("iterations")
        torch.testing.assert_close(found[label], x[0].detach(), rtol=1e-3, atol=1e-3)
    assert stopped_by == reasons
