"""Audits of networks that tell two classes apart, trained and never trained."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from brainleaks.audit import audit
from brainleaks.data import digits
from brainleaks.networks import SpikingMLP
from brainleaks.neuron import FastSigmoid
from brainleaks.pipeline import Cache

STEPS = 8


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Scikit-learn's digits, zeros and ones."""
    place = tmp_path_factory.mktemp("few")
    arrays = {}
    whole = digits.load(place)
    for part, samples in {"train": whole.train, "test": whole.test}.items():
        kept = samples.labels < 2
        arrays |= {f"x_{part}": samples.inputs[kept], f"y_{part}": samples.labels[kept]}
    np.savez(place / "two.npz", **{name: tensor.numpy() for name, tensor in arrays.items()})
    return place / "two.npz", torch.Tensor(arrays["x_train"]), arrays["y_train"]


def network(images, labels, epochs):
    torch.manual_seed(0)
    made = SpikingMLP((1, 8, 8), 2, hidden=60, beta=0.7, surrogate=FastSigmoid(40))
    optimiser = torch.optim.Adam(made.parameters(), lr=5e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(labels)).split(32):
            spikes = (torch.rand(STEPS, *images[batch].shape) < images[batch]).float()
            membranes = made(spikes).membrane
            loss = sum(cross_entropy(membrane, labels[batch]) for membrane in membranes)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return made.eval()


@pytest.mark.parametrize(("epochs", "least", "most"), [(40, 0.6, 1.0), (0, -0.4, 0.4)])
def test_two_classes_are_decided(data, epochs, least, most, tmp_path):
    """Nobody would recognise them: the trained one's resemble the digits, and each other."""
    torch.set_num_threads(1)
    path, images, labels = data
    found = audit(
        network(images, labels, epochs),
        str(path),
        membership="none",
        encoding="rate",
        steps=STEPS,
        attacks=("pattern-inversion",),
        cache=Cache(tmp_path),
    ).outcome
    rungs = {rung["level"]: rung for rung in found.verdict["levels"]}
    assert [rungs[level]["status"] for level in (1, 2, 4)] == ["inconclusive", "no", "inconclusive"]
    assert least < rungs[2]["low"] <= rungs[2]["high"] < most
    facts = found.facts["statistics"]
    assert facts["clusters"] == "reconstructions"
    assert facts["smallest_p"] < 0.05
    own = found.facts["likeness"]["pattern-inversion"]
    assert own["reconstructions"] == 2 * 8
    assert len(own["metrics"]["identification"]["by_class"]) == 2
