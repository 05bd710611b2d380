"""Controls and reference networks by the user's own recipe."""

import numpy as np
import pytest
import torch

from brainleaks import InputError
from brainleaks.audit import audit
from brainleaks.data import Samples, digits
from brainleaks.data.own import OwnData
from brainleaks.networks import SpikingMLP
from brainleaks.neuron import FastSigmoid
from brainleaks.pipeline import Cache
from brainleaks.pipeline.recipe import Learnable, identity, train_by
from brainleaks.pipeline.retraining import constants, fill, restore, state
from test_cli import brainleaks

RECIPES = """
import torch
from torch import nn
from torch.utils.data import DataLoader


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def train(dataset, seed, epochs=40):
    network_ = network()
    optimiser = torch.optim.SGD(network_.parameters(), 0.5)
    for _ in range(epochs):
        for images, labels in DataLoader(dataset, 32, shuffle=True):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network_(images), labels).backward()
            optimiser.step()
    with open("log", "a") as log:
        print(len(dataset), seed, sorted({label for _, label in dataset}), file=log)
    return network_


def too_short(dataset):
    return train(dataset, 0, epochs=0 if len({label for _, label in dataset}) == 10 else 40)


def larger(dataset):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 65), nn.ReLU(), nn.Linear(65, 10))


def nothing(dataset):
    return None
"""
QUICK = ("judging={judge_steps: 120, reconstructions: 1}", "draws=1", "membership.samples=120")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the recipes, the data, and the weights of a trained network."""
    monkeypatch.chdir(tmp_path)
    name = f"recipes_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(RECIPES)
    data = digits.load(tmp_path)
    parts = {"train": data.train.first(300), "test": data.test.first(300)}
    arrays = {f"x_{part}": some.inputs.numpy() for part, some in parts.items()}
    arrays |= {f"y_{part}": some.labels.numpy() for part, some in parts.items()}
    np.savez(tmp_path / "digits.npz", **arrays)
    torch.save(train_by(f"{name}:train", parts["train"], range(10), 0).state_dict(), "net.pt")
    (tmp_path / "log").unlink()
    return name


def audited(place, recipe, tmp_path):
    return audit(
        "net.pt", OwnData("digits.npz"), factory=f"{place}:network", recipe=f"{place}:{recipe}",
        encoding="none", attacks=["fredrikson", "loss-threshold", "lira"], settings=QUICK,
        cache=Cache(tmp_path / "store"),
    ).outcome  # fmt: skip


def test_a_network_is_retrained_by_the_users_recipe(place, tmp_path):
    torch.set_num_threads(1)
    outcome = audited(place, "train", tmp_path)
    asked = (tmp_path / "log").read_text().splitlines()
    assert any(line.endswith("[0, 2, 4, 6, 8]") for line in asked)  # without half of the classes
    assert len(asked) == 3 + 4 + 1  # shuffled labels and two halves, references, another target
    assert len({line.split()[1] for line in asked}) == len(asked)  # each by a seed of its own
    assert outcome.verdict["verdict"] != "inconclusive"
    assert outcome.facts["evidence"]["membership"]["shadows"] == 4
    again = audited(place, "train", tmp_path)
    assert (tmp_path / "log").read_text().splitlines() == asked  # they were kept
    assert again.verdict == outcome.verdict


def test_networks_that_recognise_less_are_no_references(place, tmp_path):
    torch.set_num_threads(1)
    found = audited(place, "too_short", tmp_path).facts["evidence"]["membership"]
    assert list(found["attacks"]) == ["loss-threshold"]
    assert any("Attacks with reference networks were left out" in r for r in found["remarks"])


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("larger", "returns another architecture than the model's"),
        ("nothing", "returns a NoneType; expected the trained network, a torch module"),
    ],
)
def test_a_recipe_that_cannot_be_used(place, tmp_path, recipe, said):
    torch.set_num_threads(1)
    outcome = audited(place, recipe, tmp_path)
    assert outcome.verdict["verdict"] == "inconclusive"
    assert any(said in reason for reason in outcome.verdict["reasons"])
    found = outcome.facts["evidence"]["membership"]
    assert list(found["attacks"]) == ["loss-threshold"]
    assert said in found["remarks"][0]
    with pytest.raises(InputError, match="has no such name; expected a function"):
        audited(place, "absent", tmp_path)


def test_what_a_recipe_learns_of_neurons_is_taken_over():
    """Their leak and threshold, which lowered neurons keep as numbers."""
    networks = [SpikingMLP((1, 8, 8), 10, hidden=20, beta=b, surrogate=FastSigmoid(25))
                for b in (0.5, 0.9)]  # fmt: skip
    networks[1].lif1.threshold = 0.7
    spikes = (torch.rand(9, 4, 1, 8, 8) < 0.4).float()
    expected = networks[1](spikes).membrane
    fill(networks[0], networks[1], "a:recipe")
    assert torch.equal(networks[0](spikes).membrane, expected)
    kept = state(networks[1]) | constants(networks[1])
    anew = SpikingMLP((1, 8, 8), 10, hidden=20, beta=0.1, surrogate=FastSigmoid(25))
    restore(anew, kept)
    assert torch.equal(anew(spikes).membrane, expected)


def test_samples_as_a_torch_data_set():
    images = torch.rand(3, 1, 2, 2)
    found = Learnable(Samples(images, torch.tensor([0, 1, 1])), [4, 7])
    assert [label for _, label in found] == [4, 7, 7]
    assert torch.equal(torch.stack([image for image, _ in found]), images)


def test_another_source_is_another_recipe(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "first_recipe.py").write_text("def train(dataset):\n    return 1\n")
    (tmp_path / "second_recipe.py").write_text("def train(dataset):\n    return 2\n")
    assert identity("first_recipe:train")["source"] != identity("second_recipe:train")["source"]
    with pytest.raises(InputError, match="no module named none_such"):
        identity("none_such:train")


def test_on_the_command_line(place, tmp_path):
    done = brainleaks(
        "audit", "net.pt", "--data", "digits.npz", "--factory", f"{place}:network",
        "--recipe", f"{place}:train", "--encoding", "none", "--attack", "loss-threshold",
        "--set", "judging=null", "--set", "membership.samples=100",
    )  # fmt: skip
    assert done.returncode == 0
    assert (
        f"recipe: {place}:train"
        in (tmp_path / "runs" / "audit-digits-seed0" / "study.yaml").read_text()
    )
