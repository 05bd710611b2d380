"""The paper's released artefacts, written and read: against snnTorch's own network and files."""

import hashlib
import io
import os
import pickletools
import shutil
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import snntorch
import torch
from torch import nn

from brainleaks import InputError
from brainleaks.data import DATASETS, digits
from brainleaks.data.encoding import RateCode
from brainleaks.data.parts import parts
from brainleaks.files import atomic
from brainleaks.files.tensors import read_weights
from brainleaks.networks import MLP, ConvNet, SpikingMLP
from brainleaks.networks.weights import load_weights
from brainleaks.neuron import FastSigmoid
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.loading import load_dataset
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.randomness import draw_seed, stream
from brainleaks.report import write_report
from brainleaks.runs import folder as run_folder
from brainleaks.runs import seal
from brainleaks.runs.rejudge import evaluate_file, read_reconstruction
from brainleaks.runs.release import attack_names, export, prefix_of
from brainleaks.studies import load_study
from notebook_way import NotebookSNN, train_step

HIDDEN = 60
QUICK = (
    "subset={train: 200, test: 50}",
    f"target.network.hidden={HIDDEN}",
    "target.training.epochs=5",
    "target.training.learning_rate=0.01",
    "evaluators.snn-conv.training.epochs=2",
    "attacks.brainleaks-v1.iterations=3",
    "attacks.brainleaks-v2.iterations=3",
    "draws=5",
    "judging=null",
)
METRICS = ("attack_accuracy", "top3_accuracy", "confidence", "daa", "matrix", "draws")


def run(base: Path, name: str, settings=QUICK, study="demo", **options):
    outcome = run_study(load_study(study, settings), cache=Cache(base / "store"), **options)
    return run_folder.write(outcome, base / name)


def fresh() -> SpikingMLP:
    return SpikingMLP((1, 8, 8), 10, hidden=HIDDEN, beta=0.7, surrogate=FastSigmoid(40))


def load(path: Path, network: nn.Module) -> None:
    load_weights(network, path, read_weights(path).tensors)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("release")
    run(base, "run")
    return base


@pytest.fixture(scope="module")
def released(finished) -> list[Path]:
    return export(finished / "run")


@pytest.fixture(scope="module")
def notebook() -> NotebookSNN:
    """snnTorch's network, trained for a few steps as the notebooks train theirs."""
    torch.manual_seed(0)
    network = NotebookSNN(64, HIDDEN, 10)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    images, labels, _ = digits.load(Path()).train
    encode, generator = RateCode(25), torch.Generator().manual_seed(0)
    for batch in torch.arange(1200).split(100):
        spikes = encode(images[batch], generator)
        train_step(network, optimiser, spikes.flatten(2), labels[batch])
    return network


@pytest.fixture
def notebook_file(notebook, tmp_path) -> Path:
    torch.save(notebook.state_dict(), tmp_path / "MNIST_SNN_Weights_Target")
    return tmp_path / "MNIST_SNN_Weights_Target"


def test_names_of_the_files(finished, released):
    assert [path.name for path in released] == [
        "digits_subset_SNN_Weights_Target",
        "digits_subset_SNN_Weights_Eval",
        "digits_subset_SNN_Inverted_BL1",
        "digits_subset_SNN_Inverted_BL2",
    ]
    assert {path.parent for path in released} == {finished / "run" / "release"}


def test_released_target_loads_into_the_notebooks_network(finished, released):
    """Strictly, and it then answers as the run's own target does."""
    network = NotebookSNN(64, HIDDEN, 10)
    state = torch.load(released[0], weights_only=True)
    assert list(state) == list(network.state_dict())
    network.load_state_dict(state)
    spikes = (torch.rand(25, 7, 1, 8, 8) < 0.5).float()
    expected = run_folder.load_target(finished / "run")(spikes)
    found_spikes, found_membrane = network(spikes.flatten(2))
    assert torch.equal(found_spikes, expected.spikes)
    torch.testing.assert_close(found_membrane, expected.membrane, rtol=1e-4, atol=1e-4)


def test_released_evaluator_is_plain_and_in_standard_order(released):
    state = torch.load(released[1], weights_only=True)
    layers = {name.partition(".")[0] for name in state}
    assert layers == {"conv1", "lif1", "conv2", "lif2", "fc1", "lif3"}
    neuron = snntorch.Leaky(beta=0.7).state_dict()
    assert {name.partition(".")[2] for name in state if "lif" in name} == neuron.keys()
    assert state["conv1.weight"].stride() == (9, 9, 3, 1)
    assert state["conv2.weight"].stride() == (12 * 9, 9, 3, 1)


def test_released_files_are_the_same_every_time(finished, released, tmp_path):
    again = export(finished / "run", tmp_path)
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in released]


def test_evaluate_reads_what_export_writes(finished, released):
    results = atomic.read_json(finished / "run" / "results.json")
    for path, entry in zip(released[2:], results["attacks"], strict=True):
        (found,) = evaluate_file(path, finished / "run", device="cpu")["attacks"]
        assert [found.get(key) for key in METRICS] == [entry.get(key) for key in METRICS]


def test_released_target_is_attacked_as_the_trained_one(finished, released):
    """The same weights, seed and study: the same bytes, whether trained here or loaded."""
    trained = atomic.read_json(finished / "run" / "results.json")
    loaded = run(finished, "again", target_weights=released[0])
    for a, b in zip(trained["attacks"], loaded["attacks"], strict=True):
        assert [a.get(key) for key in METRICS] == [b.get(key) for key in METRICS]
        path = Path("reconstructions") / f"{a['name']}.safetensors"
        assert (finished / "run" / path).read_bytes() == (finished / "again" / path).read_bytes()
    for part in ("train_accuracy", "test_accuracy"):
        assert trained["target"][part] == loaded["target"][part]


def test_target_from_snntorch(notebook, notebook_file, tmp_path, monkeypatch):
    """Weights with snnTorch's buffers: its own accuracy, said where they come from."""
    results = run(tmp_path, "run", target_weights=notebook_file)
    target = results["target"]
    generator = stream(0, "target", "test")
    images, labels, _ = digits.load(Path()).test.first(50)
    noise = stream(draw_seed(generator), "encoding")
    counts = notebook(RateCode(25)(images[:], noise).flatten(2))[0].sum(0)
    assert target["test_accuracy"] == float((counts.argmax(1) == labels).double().mean()) > 0.5
    origin = {"file": notebook_file.name, "sha256": sha256(notebook_file)}
    assert target["weights"] == origin
    provenance = atomic.read_json(tmp_path / "run" / "provenance.json")
    assert provenance["target_weights"] == origin
    assert f"--target-weights {notebook_file}" in provenance["command"]
    assert origin["sha256"] in write_report(tmp_path / "run").read_text()
    monkeypatch.setattr("brainleaks.pipeline.stages.training.fit", pytest.fail)
    monkeypatch.setattr("brainleaks.pipeline.stages.training.accuracy", pytest.fail)
    monkeypatch.setattr("brainleaks.pipeline.pipeline.Target", pytest.fail)
    monkeypatch.setattr("brainleaks.pipeline.stages.judgement.judge", pytest.fail)
    safetensors.torch.save_file(fresh_with(notebook).state_dict(), tmp_path / "w.safetensors")
    again = run(tmp_path, "again", target_weights=tmp_path / "w.safetensors")
    assert again["attacks"] == results["attacks"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fresh_with(notebook: NotebookSNN) -> SpikingMLP:
    network = fresh()
    network.load_state_dict(
        {k: v for k, v in notebook.state_dict().items() if not k.startswith("lif")}
    )
    return network


def test_same_predictions_as_snntorch(notebook, notebook_file):
    network = fresh()
    load(notebook_file, network)
    spikes = (torch.rand(25, 40, 1, 8, 8) < 0.4).float()
    expected_spikes, expected_membrane = notebook(spikes.flatten(2))
    found = network(spikes)
    assert torch.equal(found.spikes, expected_spikes)
    torch.testing.assert_close(found.membrane, expected_membrane, rtol=1e-4, atol=1e-4)


def saved(tmp_path: Path, changes: dict) -> Path:
    state = NotebookSNN(64, HIDDEN, 10).state_dict() | changes
    state = {name: value for name, value in state.items() if value is not None}
    torch.save(state, tmp_path / "w")
    return tmp_path / "w"


NEURONS = {
    "beta": ({"lif1.beta": torch.tensor(0.9)}, r"lif1.beta is 0.9, but the study's is 0.7"),
    "beta-of-one-neuron": (
        {"lif1.beta": torch.full((HIDDEN,), 0.7).index_fill(0, torch.tensor([3]), 0.5)},
        "lif1.beta is 0.5, but the study's is 0.7",
    ),
    "threshold": ({"lif2.threshold": torch.tensor(0.5)}, "lif2.threshold is 0.5, .* is 1"),
    "reset": ({"lif2.reset_mechanism_val": torch.tensor(1)}, "reset_mechanism_val is 1, .* is 0"),
    "graded": (
        {"lif1.graded_spikes_factor": torch.tensor(2.0)},
        "factor is 2, but the study's is 1",
    ),
    "nan": ({"lif1.beta": torch.tensor(torch.nan)}, "lif1.beta is nan"),
    "empty": ({"lif1.beta": torch.zeros(0)}, "lif1.beta is nan"),
    "recurrent": ({"lif1.V": torch.ones(HIDDEN)}, r"lif1.V is \(60,\), expected absent"),
}


@pytest.mark.parametrize("name", NEURONS)
def test_other_neurons_are_refused(name, tmp_path):
    changes, message = NEURONS[name]
    with pytest.raises(InputError, match=message):
        load(saved(tmp_path, changes), fresh())


def test_what_a_neuron_was_last_in_and_equal_vectors_are_taken(tmp_path):
    changes = {"lif1.mem": torch.rand(5, HIDDEN), "lif1.beta": torch.full((HIDDEN,), 0.7)}
    load(saved(tmp_path, changes), fresh())


WEIGHTS = {
    "missing": ({"fc1.weight": None}, r"fc1.weight is absent, expected \(60, 64\)"),
    "shape": ({"fc2.bias": torch.zeros(9)}, r"fc2.bias is \(9,\), expected \(10,\)"),
    "extra": ({"fc3.bias": torch.zeros(9)}, r"fc3.bias is \(9,\), expected absent"),
    "nan": ({"fc2.bias": torch.full((10,), torch.nan)}, "NaN or infinity in fc2.bias"),
    "overflow": (
        {"fc2.bias": torch.full((10,), 1e300, dtype=torch.float64)},
        "NaN or infinity in fc2.bias",
    ),
    "integers": (
        {"fc2.bias": torch.zeros(10, dtype=torch.int64)},
        "fc2.bias is a torch.strided tensor of torch.int64",
    ),
    "complex": ({"fc2.bias": torch.zeros(10, dtype=torch.complex64)}, "torch.complex64"),
    "sparse": ({"fc1.weight": torch.zeros(HIDDEN, 64).to_sparse()}, "torch.sparse_coo"),
    "meta": ({"fc2.bias": torch.zeros(10, device="meta")}, "on meta"),
    "checkpoint": ({"epoch": 3}, "holds a int under 'epoch'; expected tensors"),
    "wrapped": ({"state_dict": {"a": torch.zeros(1)}}, "weights of another architecture"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_unfit_weights_are_named(name, tmp_path):
    changes, message = WEIGHTS[name]
    with pytest.raises(InputError, match=message):
        load(saved(tmp_path, changes), fresh())


def test_ordinary_networks(tmp_path):
    network = MLP((1, 8, 8), 10, hidden=HIDDEN)
    torch.save(MLP((1, 8, 8), 10, hidden=HIDDEN).double().state_dict(), tmp_path / "w")
    load(tmp_path / "w", network)
    with pytest.raises(InputError, match=r"lif1.threshold is \(\), expected absent"):
        load(saved(tmp_path, {}), network)


def test_convolutions_keep_the_order_that_the_network_likes(tmp_path):
    torch.manual_seed(0)
    ours, other = (ConvNet((1, 28, 28), 10) for _ in range(2))
    state = {
        k: v.clone(memory_format=torch.contiguous_format) for k, v in other.state_dict().items()
    }
    torch.save(state, tmp_path / "w")
    load(tmp_path / "w", ours)
    assert ours.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(ours(images), other(images))


def saved_on_cuda(value, path: Path) -> None:
    """Write as ``torch.save`` does on a CUDA device: there is none here, so its tag is put in."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as out:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                content = content.replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0")
                texts = [text for _, text, _ in pickletools.genops(content)]
                assert "cuda:0" in texts
                assert "cpu" not in texts
            out.writestr(name, content)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the tag is a lie only without CUDA")
def test_files_saved_on_a_cuda_device(notebook, tmp_path):
    saved_on_cuda(notebook.state_dict(), tmp_path / "w")
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(tmp_path / "w", weights_only=True)
    network = fresh()
    load(tmp_path / "w", network)
    assert torch.equal(network.fc1.weight, notebook.fc1.weight)
    values = torch.rand(10, 25, 1, 64)
    saved_on_cuda(values, tmp_path / "MNIST_SNN_Inverted_BL2")
    assert torch.equal(read_reconstruction(tmp_path / "MNIST_SNN_Inverted_BL2"), values)


class _Harmful:
    def __reduce__(self):
        return (os.system, ("touch harm",))


def test_harmful_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"fc1.weight": torch.zeros(1), "x": _Harmful()}, tmp_path / "w")
    with pytest.raises(InputError, match=r"[Uu]npickling"):
        read_weights(tmp_path / "w")
    torch.save(fresh(), tmp_path / "w")
    with pytest.raises(InputError, match="could be read only by running its code"):
        read_weights(tmp_path / "w")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("byte", range(40, 240, 10))
def test_damaged_file_is_no_traceback(tmp_path, byte):
    buffer = io.BytesIO()
    torch.save({"fc1.weight": torch.zeros(2)}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(tmp_path / "w", "w") as out:
        for name in source.namelist():
            content = bytearray(source.read(name))
            if name.endswith("data.pkl"):
                content[byte % len(content)] ^= 0x41
            out.writestr(name, bytes(content))
    with pytest.raises(InputError):
        load(tmp_path / "w", fresh())


def test_an_evaluator_with_the_targets_very_weights_is_refused(finished, released):
    """Whatever it is called: here the evaluator's weights are attacked, and it would judge them."""
    evaluator = load_study("demo", QUICK).evaluators["snn-conv"].network
    settings = (*QUICK, f"target.network={evaluator.model_dump_json()}")
    with pytest.raises(
        InputError, match=r"evaluators\.snn-conv has the same weights as the target"
    ):
        run(finished, "self", settings, target_weights=released[1])
    assert not (finished / "self").exists()


def test_a_target_put_in_an_evaluators_place_is_refused(finished):
    """Networks of one architecture are told apart by their weights, and by those alone."""
    target = load_study("demo", QUICK).target.network
    run(finished, "alike", (*QUICK, f"evaluators.snn-conv.network={target.model_dump_json()}"))
    made = finished / "alike" / "reconstructions" / "brainleaks-v1.safetensors"
    assert evaluate_file(made, finished / "alike", device="cpu")["attacks"]
    evaluator = finished / "alike" / "evaluators" / "snn-conv.safetensors"
    shutil.copy(finished / "alike" / "target.safetensors", evaluator)
    seal(finished / "alike")
    with pytest.raises(
        InputError, match=r"snn-conv\.safetensors has the same weights as the target"
    ):
        evaluate_file(made, finished / "alike", device="cpu")


def test_a_judge_of_the_panel_that_is_the_target_is_refused(tmp_path):
    settings = (
        "subset={train: 200, test: 50}",
        "encoding=null",
        "target.network={architecture: conv, kernel: 3, padding: 1}",
        "evaluators={one: {network: {architecture: mlp, hidden: 20}, "
        "training: {learning_rate: 0.01, batch_size: 100, epochs: 1}}}",
        "attacks={descent: {attack: fredrikson, iterations: 3}}",
        "judging={judge_steps: 5, reconstructions: 1, controls: []}",
    )
    study, cache = load_study("demo", settings), Cache(tmp_path / "store")
    dataset = load_dataset(study, tmp_path, cache)
    judge = Pipeline(study, 0, dataset, "cpu", cache).judge("ann-conv", parts(dataset), 5).judge
    torch.save(judge.network.state_dict(), tmp_path / "weights")
    with pytest.raises(InputError, match="the panel's ann-conv has the same weights as the target"):
        run_study(study, cache=cache, target_weights=tmp_path / "weights")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "none")
    (tmp_path / "text").write_text("weights")
    with pytest.raises(InputError, match="not a complete safetensors file"):
        read_weights(tmp_path / "text")
    torch.save(torch.zeros(10, 1, 64), tmp_path / "tensor")
    with pytest.raises(InputError, match="holds a Tensor; expected a state dict"):
        read_weights(tmp_path / "tensor")


def test_prefixes():
    names = {
        "faces-snn": "Face_SNN",
        "faces-ann": "Face_ANN",
        "mnist-ann": "MNIST_ANN",
        "nmnist-snn": "NMNIST_SNN",
        "nmnist-1k-snn": "NMNIST_1k_SNN",
    }
    studies = {preset: load_study(preset) for preset in names}
    sizes = {preset: DATASETS[study.dataset].SIZE for preset, study in studies.items()}
    assert {preset: prefix_of(studies[preset], sizes[preset]) for preset in names} == names
    few = load_study("mnist-snn", ("subset={train: 10, test: 10}",))
    assert prefix_of(few, (10, 10)) == "MNIST_subset_SNN"
    assert prefix_of(studies["nmnist-snn"], (1000, 100)) == "NMNIST_subset_SNN"


def test_several_attacks_and_evaluators(tmp_path):
    settings = (
        *QUICK,
        "attacks.longer={attack: brainleaks-v1, iterations: 2, time_steps: 25}",
        "evaluators.second={network: {architecture: spiking-mlp, hidden: 20, beta: 0.7, "
        "surrogate: {surrogate: fast-sigmoid}}, training: {learning_rate: 0.01, batch_size: 100, "
        "epochs: 1}}",
    )
    run(tmp_path, "run", settings)
    names = [path.name.removeprefix("digits_subset_SNN_") for path in export(tmp_path / "run")]
    assert names == [
        "Weights_Target",
        "Weights_Eval",
        "Weights_Eval_second",
        "Inverted_BL1",
        "Inverted_BL2",
        "Inverted_longer",
    ]


def test_attacks_of_one_name_are_refused():
    settings = ("attacks.BL1={attack: brainleaks-v1, iterations: 2, time_steps: 25}",)
    with pytest.raises(InputError, match="would export to Inverted_BL1"):
        attack_names(load_study("demo", settings))
    assert attack_names(load_study("mnist-ann")) == {"fredrikson": "Inverted"}
