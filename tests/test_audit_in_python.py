"""``audit()`` as a newcomer calls it: arrays and loaders, its arguments, and its record."""

import inspect

import click
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import brainleaks
from brainleaks import InputError
from brainleaks.audit import audit
from brainleaks.audit.interface import in_words
from brainleaks.cli.audit import audit as command
from brainleaks.data import digits
from brainleaks.data.own import OwnData
from brainleaks.networks import SpikingMLP
from brainleaks.neuron import FastSigmoid

QUICK = {
    "steps": 5,
    "attacks": "brainleaks-v1",
    "settings": [
        "judging={judge_steps: 4, reconstructions: 1, controls: [noise]}",
        "attacks.brainleaks-v1.iterations=2",
        "draws=2",
    ],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    whole = digits.load(tmp_path_factory.mktemp("data"))
    return whole.train.inputs[:300, 0].numpy(), whole.train.labels[:300].numpy()


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINLEAKS_STORE", str(tmp_path / "store"))
    torch.manual_seed(0)
    return SpikingMLP((1, 8, 8), 10, hidden=20, beta=0.7, surrogate=FastSigmoid(40))


def test_arrays_and_loaders_are_the_same_data(network, data):
    x, y = data
    parts = [TensorDataset(torch.from_numpy(x[s]), torch.from_numpy(y[s])) for s in
             (slice(200), slice(200, 300))]  # fmt: skip
    from_arrays = audit(network, ((x[:200], y[:200]), (x[200:], y[200:])), **QUICK)
    loaders = [DataLoader(part, batch_size=32, shuffle=True) for part in parts]
    from_loaders = audit(network, loaders, **QUICK)
    assert from_arrays.results["dataset"] == from_loaders.results["dataset"]
    assert from_arrays.results["verdict"] == from_loaders.results["verdict"]
    held_out = audit(network, (x, y), holdout=0.2, **QUICK)
    sizes = [held_out.results["dataset"][part] for part in ("train", "test")]
    assert sum(sizes) == 300
    assert sizes[1] == pytest.approx(60, abs=5)


def test_the_recorded_code_makes_the_same_run(network, data, tmp_path):
    result = audit(network, data, holdout=0.2, seed=3, out=tmp_path / "run", **QUICK)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "audit(model, data, holdout=0.2, " in page
    assert "The exact command" not in page
    scope = {"model": network, "data": data}
    exec(result.provenance["command"].replace("\naudit(", "\nagain = audit("), scope)
    again = scope["again"]
    assert again.results | {"run_dir": ""} == result.results | {"run_dir": ""}
    loaded = brainleaks.load(tmp_path / "run")
    assert loaded.results == result.results
    assert loaded.outcome is None


def test_the_record_names_files_and_leaves_defaults_out():
    defaults = {n: p.default for n, p in inspect.signature(audit).parameters.items()}
    own = OwnData("faces", holdout=0.2)
    said = in_words(defaults | {"model": "net.nir", "data": own, "dt": 1e-4, "sensor": (3, 4)})
    assert said.splitlines() == [
        "from brainleaks.audit import audit",
        "from brainleaks.data.own import OwnData",
        "audit('net.nir', OwnData(path='faces', holdout=0.2), dt=0.0001, sensor=(3, 4))",
    ]


def test_it_takes_what_the_command_takes():
    """But what is of the terminal alone; the twin has functions of its own."""
    options = {p.name for p in command.params if isinstance(p, click.Option)}
    terminal = {"as_json", "fail_on", "twin"}
    named = {"data_path": "data"}
    arguments = inspect.signature(audit).parameters.keys()
    assert {named.get(name, name) for name in options - terminal} == arguments - {"model", "cache"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, r"^data in memory has no test split: .* with holdout=0\.2"),
        ({"holdout": 2}, "^holdout=2: input should be less than 1"),
        ({"holdout": 0.2, "encoding": "rat"}, "^encoding='rat': unknown; expected one of rate, "),
        ({"holdout": 0.2, "access": "all"}, "^access='all': unknown; expected one of labels, "),
        ({"holdout": 0.2, "attacks": "brainleak-v1"}, "unknown attack; did you mean brainleaks-v1"),
        ({"holdout": 0.2, "frame_us": 10}, "^frame_us: only event recordings are cut"),
        ({"holdout": 0.2, "classes": "ab"}, "^classes='ab': input should be a valid tuple"),
        ({"holdout": 0.2, "device": "gpu"}, "^device='gpu': unknown device; expected auto, cpu"),
        ({"holdout": 0.2, "settings": "drawz=2"}, "drawz: unknown field; did you mean draws"),
    ],
)
def test_a_mistake_is_one_sentence_in_the_words_of_python(network, data, arguments, said):
    with pytest.raises(InputError, match=said) as caught:
        audit(network, data, **arguments)
    assert "--" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without a GPU")
def test_a_gpu_that_is_not_there_is_one_sentence(network, data):
    for device in ("cuda", "cuda:0"):
        with pytest.raises(InputError, match=f"^device='{device}': torch finds no CUDA device"):
            audit(network, data, holdout=0.2, device=device)


def test_without_a_model(data):
    with pytest.raises(InputError, match=r"^model: missing"):
        audit(None, data, holdout=0.2)


def test_values_out_of_range_are_refused(network, data):
    with pytest.raises(InputError, match=r"inputs range from 0 to 255; expected images in \[0, 1"):
        audit(network, (data[0] * np.float32(255), data[1]), holdout=0.2)
