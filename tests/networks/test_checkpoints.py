"""Checkpoints as people save them: the one state dict is found, and fits."""

import argparse
import pathlib
from collections import OrderedDict

import pytest
import torch
from torch import nn

from brainleaks import InputError
from brainleaks.files.tensors import read_weights
from brainleaks.networks.weights import load_weights


class Custom:
    """A class that no reader imports."""

    def __init__(self):
        self.number = 3


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 3))


def trained():
    torch.manual_seed(1)
    made = network()
    for weight in made.parameters():
        weight.data = torch.randn_like(weight)
    made(torch.rand(8, 5)).sum().backward()
    return made


def optimiser(made):
    found = torch.optim.Adam(made.parameters())
    found.step()
    return found


def under(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def lightning(made):
    """What a trainer of Lightning 2 writes, by its documentation."""
    return {
        "epoch": 3,
        "global_step": 30,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": under("model.", made.state_dict()) | {"train_acc.tp": torch.zeros(3)},
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9), "monitor": "acc"}},
        "optimizer_states": [optimiser(made).state_dict()],
        "hyper_parameters": {"rate": 0.1, "where": pathlib.PurePosixPath("x"), "c": Custom()},
    }


SAVED = {
    "plain": lambda made: made.state_dict(),
    "beside an optimiser": lambda made: {
        "net": made.state_dict(), "optimizer": optimiser(made).state_dict(), "epoch": 3,
        "args": argparse.Namespace(rate=0.1),
    },
    "model_state_dict": lambda made: {"model_state_dict": made.state_dict(), "loss": 0.1},
    "lightning": lightning,
    "data parallel": lambda made: under("module.", made.state_dict()),
    "compiled": lambda made: under("_orig_mod.", made.state_dict()),
    "both": lambda made: {"state_dict": under("module._orig_mod.", made.state_dict())},
    "a compiled part": lambda made: OrderedDict(
        (name.replace("3.", "3._orig_mod."), t) for name, t in made.state_dict().items()
    ),
    "with a state": lambda made: made.state_dict() | {"1.mem": torch.rand(8, 4)},
}  # fmt: skip


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("name", SAVED)
def test_what_people_save_is_read(name, old, tmp_path):
    made, path = trained(), tmp_path / "net.pt"
    torch.save(SAVED[name](made), path, _use_new_zipfile_serialization=not old)
    weights, found = read_weights(path), network()
    said = load_weights(found, path, weights.tensors)
    for key, tensor in made.state_dict().items():
        assert torch.equal(found.state_dict()[key], tensor)
    assert bool(said or weights.found) is (name != "plain")


def test_what_was_done_is_said(tmp_path):
    path = tmp_path / "net.ckpt"
    torch.save(lightning(trained()), path)
    weights = read_weights(path)
    assert weights.found == "The weights are under 'state_dict' in the file."
    assert load_weights(network(), path, weights.tensors) == [
        "'model.' was removed from the names of the weights.",
        "1 other tensors in the file were left out.",
    ]


def test_numbers_of_neurons_that_older_versions_did_not_save(tmp_path):
    made = trained()
    made[1].register_buffer("graded_spikes_factor", torch.tensor(1.0))
    path = tmp_path / "net.pt"
    torch.save({k: v for k, v in made.state_dict().items() if "graded" not in k}, path)
    said = load_weights(made, path, read_weights(path).tensors)
    assert said == ["1.graded_spikes_factor: not in the file; the factory's values are used."]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda made: {"a": made.state_dict(), "b": made.state_dict()}, "holds 2 state dicts"),
        (
            lambda made: under("model.", made.state_dict()) | under("ema.", made.state_dict()),
            "several networks of this architecture",
        ),
        (lambda made: Custom(), r"test_checkpoints.Custom itself.*state_dict\(\)"),
        (lambda made: made, "Sequential itself, which|holds more than tensors"),
        (lambda made: {"a": Custom()}, "holds an object of .*Custom under 'a'"),
        (lambda made: {"epoch": 3}, "holds a int under 'epoch'"),
        (lambda made: {}, "holds nothing; expected tensors"),
        (lambda made: [1], "holds a list"),
        (lambda made: under("other.", nn.Linear(3, 3).state_dict()), "another architecture"),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_what_is_no_state_dict_is_named(content, said, old, tmp_path):
    path = tmp_path / "net.pt"
    torch.save(content(trained()), path, _use_new_zipfile_serialization=not old)
    with pytest.raises(InputError, match=said):
        load_weights(network(), path, read_weights(path).tensors)
