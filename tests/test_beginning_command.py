"""``brainleaks beginning``, as it is typed."""

import sys

import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from torch import nn

from brainleaks import cli


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["brainleaks", "beginning", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def trained(tmp_path):
    """The file of a network trained on digits, and its initial state dict."""
    torch.manual_seed(7)
    network = nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.BatchNorm1d(300), nn.Linear(300, 10))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images, labels = load_digits(return_X_y=True)
    optimiser = torch.optim.Adam(network.parameters())
    for _ in range(3):
        optimiser.zero_grad()
        inputs = torch.tensor(images, dtype=torch.float32) / 16
        nn.functional.cross_entropy(network(inputs), torch.tensor(labels)).backward()
        optimiser.step()
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path)
    return path, before


def test_initial_weights_are_written(run, trained, tmp_path):
    path, before = trained
    out = tmp_path / "initial.safetensors"
    status, printed, _ = run(path, "--out", out)
    assert status == 0
    assert "The generator's seed is 7; the network was drawn first." in printed
    assert "Not recovered and written as they are in weights.pt: 2.weight" in printed
    written = load_file(out)
    assert written.keys() == before.keys()
    for name in ("0.weight", "0.bias", "3.weight", "3.bias"):
        assert torch.equal(written[name], before[name])


def test_nothing_is_recovered(run, tmp_path):
    path, out = tmp_path / "weights.pt", tmp_path / "initial.safetensors"
    torch.save({"fc.weight": torch.zeros(5, 5)}, path)
    status, printed, _ = run(path, "--out", out)
    assert status == 1
    assert printed.startswith("Not recovered. No input")
    assert not out.exists()


def test_mistakes(run, tmp_path):
    path = tmp_path / "weights.pt"
    assert run(path)[0] == 2
    torch.save({"fc.weight": torch.zeros(5, 5, dtype=torch.half)}, path)
    status, _, said = run(path)
    assert status == 2
    assert said.startswith("brainleaks: the weights are float16; expected")
    assert run(path, "--out", path)[0] == 2
