"""A study's data: recordings cut once, kept, and given to each family as it takes them."""

import numpy as np
import pytest
import safetensors.torch
import torch

from brainleaks import InputError
from brainleaks.data import SpikeTrains, nmnist
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.loading import load_dataset
from brainleaks.runs import folder as run_folder
from brainleaks.runs.rejudge import evaluate_file
from brainleaks.studies import load_study

FRAMES = "frames={frame_us: 1000, denoise_us: 40000, polarity: first}"
SMALL = (
    "dataset=nmnist",
    FRAMES,
    "target.network.hidden=20",
    "target.training.epochs=1",
)


def recording(seed, events=400):
    """N-MNIST's five bytes an event, at random."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 9_000, events))
    columns = [rng.integers(0, 34, events), rng.integers(0, 34, events)]
    columns += [rng.integers(0, 2, events) << 7 | t >> 16, t >> 8 & 255, t & 255]
    return np.stack(columns, 1).astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    """Two recordings of every digit to train, one to test."""
    for part, each in (("Train", 2), ("Test", 1)):
        for i in range(10 * each):
            path = tmp_path / "nmnist" / part / str(i % 10) / f"{i + 1:05d}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(recording(i))
    return tmp_path


def test_frames_are_made_once(folder, tmp_path, monkeypatch):
    study, cache = load_study("nmnist-snn", SMALL), Cache(tmp_path / "store")
    first = load_dataset(study, folder, cache)
    assert isinstance(first.train.inputs, SpikeTrains)
    assert first.input_shape == (1, 34, 34)
    assert first.train.labels.tolist() == [*range(10), *range(10)]
    with monkeypatch.context() as patched:
        patched.setattr(nmnist, "read_five_byte", pytest.fail)
        again = load_dataset(study, folder, cache)
    assert again.fingerprint == first.fingerprint
    # other frames, and other files, are other frames
    other = load_study("nmnist-snn", (*SMALL, "frames.polarity=merged"))
    assert load_dataset(other, folder, cache).fingerprint != first.fingerprint
    (folder / "nmnist" / "Train" / "0" / "00001.bin").write_bytes(recording(99))
    assert load_dataset(study, folder, cache).fingerprint != first.fingerprint


def test_ordinary_networks_see_averages(folder, tmp_path):
    cache = Cache(tmp_path / "store")
    spikes = load_dataset(load_study("nmnist-snn", SMALL), folder, cache).train.inputs
    images = load_dataset(load_study("nmnist-ann", SMALL), folder, cache).train.inputs
    assert images.shape == (20, 1, 34, 34)
    for i in (0, 7, 19):
        counts = spikes[torch.tensor([i])][:, 0].sum(0)
        assert torch.allclose(images[i], counts / counts.max())


def test_subset(folder, tmp_path):
    settings = (*SMALL, "subset={train: 12, test: 3}")
    for preset in ("nmnist-snn", "nmnist-ann"):
        dataset = load_dataset(load_study(preset, settings), folder, Cache(tmp_path / "store"))
        assert dataset.train.labels.tolist() == [*range(10), 0, 1]
        assert len(dataset.train.inputs) == 12
        assert len(dataset.test.inputs) == len(dataset.test.labels) == 3


@pytest.mark.parametrize("preset", ["nmnist-snn", "nmnist-ann"])
def test_the_whole_road_on_events(folder, tmp_path, preset):
    quick = {
        "nmnist-snn": (
            "evaluators.snn-conv.training.epochs=1",
            "attacks.brainleaks-v1.time_steps=7",
            "attacks.brainleaks-v2.time_steps=7",
            "draws=2",
        ),
        "nmnist-ann": (
            "evaluators.ann-conv.training.epochs=1",
            "attacks.fredrikson.iterations=9",
        ),
    }
    judging = "judging={judge_steps: 3, reconstructions: 1}"
    study = load_study(preset, (*SMALL, *quick[preset], judging))
    outcome = run_study(study, data_dir=folder, cache=Cache(tmp_path / "store"))
    steps = (7,) if study.spiking else ()
    for item in outcome.reconstructions:
        assert item.values.shape == (*steps, 10, 1, 34, 34)
        assert item.values.isfinite().all()
        assert len(outcome.facts["likeness"][item.name]["metrics"]["panel"]["by_class"]) == 10
    # the run folder reads its own spikes or images, and refuses the others'
    run = tmp_path / "run"
    run_folder.write(outcome, run)
    spikes, images = torch.zeros(10, 7, 1, 34 * 34), torch.zeros(10, 1, 34 * 34)
    own, other = (spikes, images) if study.spiking else (images, spikes)
    safetensors.torch.save_file({"own": own}, tmp_path / "own")
    safetensors.torch.save_file({"other": other}, tmp_path / "other")
    assert evaluate_file(tmp_path / "own", run, device="cpu")["attacks"][0]["confidence"] < 0.5
    with pytest.raises(InputError, match=f"expected .* {'spikes' if study.spiking else 'images'}"):
        evaluate_file(tmp_path / "other", run, device="cpu")


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        ("{train: 5, test: 3}", "none of the 5 training samples belongs to class 5"),
        ("{train: 21, test: 3}", r"subset.train: found 21, but there are only 20 train samples"),
        ("{train: 20, test: 99}", r"subset.test: found 99, but there are only 10 test samples"),
    ],
)
def test_subsets_that_do_not_do(folder, tmp_path, subset, message):
    study = load_study("nmnist-snn", (*SMALL, f"subset={subset}"))
    with pytest.raises(InputError, match=message):
        load_dataset(study, folder, Cache(tmp_path / "store"))


@pytest.mark.parametrize(
    ("preset", "setting", "message"),
    [
        ("nmnist-snn", "frames=null", "frames: missing; events need it"),
        ("nmnist-snn", "encoding={encoding: rate}", "encoding: event data are spikes already"),
        ("mnist-snn", FRAMES, "frames: only event data are cut into frames"),
        ("mnist-snn", "encoding=null", "encoding: missing; a spiking target needs one"),
        ("mnist-ann", "encoding={encoding: rate}", "an ordinary .non-spiking. target takes images"),
        ("nmnist-snn", "frames.frame_us=0", "frames.frame_us: found 0, .* greater than or equal"),
        ("nmnist-snn", "frames.polarity=on", "frames.polarity: "),
        ("nmnist-snn", "subset={train: 5}", "subset.test: missing"),
    ],
)
def test_settings_that_make_no_sense(preset, setting, message):
    with pytest.raises(InputError, match=message):
        load_study(preset, (setting,))
