"""Recordings of channels over time: sound, touch, EMG."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from torch import nn

from brainleaks import InputError
from brainleaks.adapters import adapt
from brainleaks.audit import Inputs, plan, run, write
from brainleaks.data.codes import StreamCode
from brainleaks.data.own import OwnData, load_own
from brainleaks.pipeline import Cache
from brainleaks.report.run import read_run
from brainleaks.studies.reading import load_study, parse_study

snn = pytest.importorskip("snntorch")
h5py = pytest.importorskip("h5py")
STEPS, CHANNELS, CLASSES = 20, 16, 5


def recordings(count, seed):
    """Each class sweeps over the channels at a speed of its own; ``(N, T, channels)``."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    centre = 2 + np.arange(STEPS)[None] * labels[:, None] / 6 + draw.normal(0, 0.5, (count, 1))
    near = np.abs(np.arange(CHANNELS) - centre[..., None]) < 1.5
    return (near & (draw.random(near.shape) < 0.8)).astype(np.uint8), labels


class Recurrent(nn.Module):
    """Takes ``(B, T, channels)``, as loaders give it."""

    def __init__(self, batch_axis=0):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(CHANNELS, 40), snn.RLeaky(0.9, linear_features=40)
        self.fc2, self.lif2 = nn.Linear(40, CLASSES), snn.Leaky(0.9, reset_mechanism="none")
        self.batch_axis = batch_axis

    def forward(self, x):
        spk, mem = self.lif1.init_rleaky()
        out, trace = self.lif2.init_leaky(), []
        for step in x.unbind(1 - self.batch_axis):
            spk, mem = self.lif1(self.fc1(step), spk, mem)
            _, out = self.lif2(self.fc2(spk), out)
            trace.append(out)
        return torch.stack(trace, 1 - self.batch_axis)


def trained(network, inputs, labels):
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(network(inputs).mean(1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("streams") / "sweeps.npz"
    parts = {"train": recordings(300, 0), "test": recordings(100, 1)}
    np.savez(path, **{f"{'xy'[i]}_{p}": a for p, pair in parts.items() for i, a in enumerate(pair)})
    return path


def test_the_code_shows_one_row_a_step():
    images = torch.rand(3, 2, STEPS, CHANNELS)
    spikes = StreamCode(STEPS)(images)
    assert spikes.shape == (STEPS, 3, 2, 1, CHANNELS)
    assert torch.equal(spikes[4, 1, 0, 0], images[1, 0, 4])


@pytest.mark.parametrize("batch_axis", [0, 1])
def test_the_order_of_axes_is_found(batch_axis):
    torch.manual_seed(0)
    network = Recurrent(batch_axis)
    samples = (torch.rand(STEPS, 7, 1, 1, CHANNELS) < 0.5).float()
    adapted = adapt(network, samples=samples, classes=CLASSES)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    with torch.no_grad():
        rows = samples.flatten(2)
        expected = network(rows) if batch_axis else network(rows.transpose(0, 1)).transpose(0, 1)
        torch.testing.assert_close(adapted.network(samples).membrane, expected)


def test_a_network_that_mixes_the_samples_is_refused():
    class Mixing(nn.Module):
        def forward(self, x):
            return x.cumsum(0).cumsum(1)[..., :CLASSES]

    samples = (torch.rand(STEPS, 7, 1, 1, CHANNELS) < 0.5).float()
    with pytest.raises(InputError, match="depends on the other samples of the batch"):
        adapt(Mixing(), samples=samples, classes=CLASSES)


def test_an_audit_of_streams(data, tmp_path):
    inputs, labels = (torch.tensor(a) for a in recordings(300, 0))
    torch.manual_seed(0)
    network = trained(Recurrent(), inputs.float(), labels)
    settings = ("judging={judge_steps: 150, reconstructions: 1}", "draws=2")
    planned = plan(
        network,
        str(data),
        inputs=Inputs(encoding="stream"),
        attacks=["smooth-inversion"],
        membership="none",
        settings=settings,
    )
    assert "Inputs have 20 time steps and 16 channels" in planned.study.description
    outcome = run(planned, cache=Cache(tmp_path / "store"))
    write(outcome, tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["target"]["test_accuracy"] > 0.8
    assert not results["failures"]
    read = read_run(tmp_path / "run")
    pictures = read.rates(read.reconstruction("smooth-inversion"))
    assert {picture.shape for picture in pictures} == {(CHANNELS, STEPS)}
    assert (tmp_path / "run" / "report.html").exists()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Tones that rise, in class folders."""
    folder, draw = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 12)):
        for label in range(CLASSES):
            (folder / part / f"to {label}").mkdir(parents=True)
            for i in range(count):
                hertz = 400 + np.linspace(0, 600 * label, 1600) + 40 * draw.normal()
                sound = np.sin(np.cumsum(2 * np.pi * hertz / 8000))
                path = folder / part / f"to {label}" / f"{i}.wav"
                wavfile.write(path, 8000, (20_000 * sound).astype(np.int16))
    return folder


@pytest.fixture(scope="module")
def heard(sounds, tmp_path_factory):
    """An audit of a network on sound, and its folder."""
    own = OwnData(str(sounds), bins=STEPS, sensor=(1, CHANNELS))
    inputs, labels, _ = load_own(own).train
    torch.manual_seed(0)
    network = trained(Recurrent(), inputs[:, 0], labels)
    settings = ("judging={judge_steps: 150, reconstructions: 1}", "draws=2")
    chosen = {"attacks": ["stream-inversion"], "membership": "none", "settings": settings}
    planned = plan(network, own, inputs=Inputs(steps=STEPS), **chosen)
    place = tmp_path_factory.mktemp("heard")
    write(run(planned, cache=Cache(place / "store")), place / "run")
    return planned, place / "run"


def test_an_audit_of_sound_is_judged_and_played(heard):
    planned, folder = heard
    assert planned.study.encoding == StreamCode(STEPS)
    assert planned.study.attacks["stream-inversion"].filled == 1
    assert "how long recordings last, 1 of the time steps" in planned.study.description
    results = json.loads((folder / "results.json").read_text())
    assert not results["failures"]
    judges = {judge["name"]: judge["test_accuracy"] for judge in results["judges"]}
    assert judges.keys() == {"conv-1d", "recurrent", "channel-totals", "nearest", "nearest-dtw"}
    assert min(judges.values()) > 0.6
    page = (folder / "report.html").read_text()
    players = re.findall(r'<audio [^>]*src="data:audio/wav;base64,([^"]+)"', page)
    assert len(players) == 3 * CLASSES
    rate, sound = wavfile.read(io.BytesIO(base64.b64decode(players[0])))
    assert (rate, sound.shape) == (8000, (STEPS * 80,))
    assert np.abs(sound).max() > 20_000
    assert "media-src data:" in page


@pytest.mark.parametrize(
    "sound", [{"sample_rate": 8000, "steps": 10**9}, {"sample_rate": "x"}, {"rm": 1}, 7, []]
)
def test_what_a_stranger_says_of_sound_is_checked(heard, sound):
    read = read_run(heard[1])
    read.results["dataset"]["sound"] = sound
    with pytest.raises(InputError, match=r"dataset\.sound is .*expected what made recordings"):
        _ = read.cochlea


def test_a_study_of_streams_needs_what_suits_them():
    content = load_study("fsdd-snn").model_dump(mode="json")
    wrong = [
        ({"encoding": None}, "encoding: missing"),
        ({"encoding": {"encoding": "direct", "steps": 4}}, "networks behind stream encoding"),
        (
            {"attacks": {"v1": {"attack": "brainleaks-v1", "iterations": 1}}},
            "does not support spiking networks behind stream encoding",
        ),
    ]
    for changes, message in wrong:
        with pytest.raises(InputError, match=message):
            parse_study("x", content | changes)


def test_other_steps_than_the_recordings_have_are_refused(data):
    with pytest.raises(InputError, match="steps=7: the recordings have 20 time steps"):
        plan(Recurrent(), str(data), inputs=Inputs(encoding="stream", steps=7))


@pytest.mark.parametrize("most", [2, 256])
def test_arrays_are_images_unless_said(tmp_path, most):
    grey = np.random.default_rng(0).integers(0, most, (40, STEPS, CHANNELS)).astype(np.uint8)
    labels = np.arange(40) % 2
    np.savez(tmp_path / "grey.npz", x_train=grey, y_train=labels, x_test=grey, y_test=labels)

    def network():
        return nn.Sequential(
            nn.Flatten(), nn.Linear(STEPS * CHANNELS, 2), snn.Leaky(0.9, init_hidden=True)
        )

    planned = plan(network(), str(tmp_path / "grey.npz"), inputs=Inputs())
    assert "rate code" in planned.study.description


def shd(path, seed=0, count=60, **changes):
    """A file as SHD has them; ``changes`` replace what it holds, ``None`` leaves it out."""
    rows, labels = recordings(count, seed)
    times, units = [], []
    for row in rows:
        step, channel = np.nonzero(row)
        times.append((step / STEPS).astype(np.float16))
        units.append(channel.astype(np.uint16))
    held = {"times": times, "units": units, "labels": labels} | changes
    with h5py.File(path, "w") as file:
        for name in ("times", "units"):
            kind = h5py.vlen_dtype(held[name][0].dtype)
            made = file.create_dataset(f"spikes/{name}", (len(held[name]),), dtype=kind)
            for i, row in enumerate(held[name]):
                made[i] = row
        if held["labels"] is not None:
            file["labels"] = held["labels"]
        file["extra/keys"] = [f"sweep {i}" for i in range(CLASSES)]
    return rows, labels, times, units


def test_shd_files_are_cut_into_steps(tmp_path):
    rows, labels, times, _ = shd(tmp_path / "shd_train.h5")
    shd(tmp_path / "shd_test.h5", seed=1)
    dataset = load_own(OwnData(str(tmp_path), bins=STEPS, sensor=(1, CHANNELS)))
    assert dataset.class_names == tuple(f"sweep {i}" for i in range(CLASSES))
    assert dataset.input_shape == (1, STEPS, CHANNELS)
    assert dataset.train.labels.tolist() == labels.tolist()
    longest = max(float(t.max()) for t in times)
    for row, image, when in zip(rows, dataset.train.inputs[:, 0], times, strict=True):
        expected = np.zeros((STEPS, CHANNELS))
        for t, channel in zip(when.astype(float), np.nonzero(row)[1], strict=True):
            expected[min(STEPS - 1, int(t / longest * STEPS)), channel] = 1
        assert np.array_equal(image.numpy(), expected)


def test_arrays_of_streams_are_recognised_in_the_error(data):
    planned = plan(Recurrent(), str(data), inputs=Inputs(), membership="none")
    with pytest.raises(InputError, match="20 time steps of 16 channels, use encoding='stream'"):
        run(planned)


def test_an_audit_is_planned_on_shd_files(tmp_path):
    shd(tmp_path / "shd_train.h5")
    shd(tmp_path / "shd_test.h5", seed=1)
    planned = plan(Recurrent(), str(tmp_path), inputs=Inputs(steps=10), membership="none")
    assert "10 time steps and 16 channels" in planned.study.description
    assert planned.study.dataset.bins == 10
    one = OwnData(str(tmp_path / "shd_train.h5"), holdout=0.3)
    assert "100 time steps" in plan(Recurrent(), one, inputs=Inputs()).study.description


def first(rows, value):
    return [np.array([value], rows[0].dtype), *rows[1:]]


WRONG = {
    "nan": (
        lambda t, u: {"times": first(t, np.nan), "units": first(u, 0)},
        "recording 0 has a spike at nan",
    ),
    "negative": (
        lambda t, u: {"times": first(t, -1), "units": first(u, 0)},
        "spike at -1.0 seconds",
    ),
    "unit of time": (lambda t, u: {"times": [r * 6e4 for r in t]}, "Times must be in seconds"),
    "channel": (
        lambda t, u: {"times": first(t, 0), "units": first(u, 99)},
        "channel 99; expected 0 to 15",
    ),
    "no labels": (lambda t, u: {"labels": None}, "has no /labels; expected recordings as SHD has"),
    "a label less": (lambda t, u: {"labels": np.zeros(3, int)}, "and 3 labels"),
    "a time less": (lambda t, u: {"times": first(t, 0)}, "recording 0 has 1 times and"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused(tmp_path, name):
    change, message = WRONG[name]
    _, _, times, units = shd(tmp_path / "x.h5")
    shd(tmp_path / "x.h5", **change([t.astype(np.float32) for t in times], units))
    with pytest.raises(InputError, match=message):
        load_own(OwnData(str(tmp_path / "x.h5"), holdout=0.2, sensor=(1, CHANNELS)))


def test_too_many_recordings_are_refused(tmp_path, monkeypatch):
    shd(tmp_path / "x.h5")
    monkeypatch.setenv("BRAINLEAKS_LIMIT_FILE_BYTES", "300000")
    with pytest.raises(InputError, match=r"cut into 100 steps of 16 channels, has 384,000 bytes"):
        load_own(OwnData(str(tmp_path / "x.h5"), holdout=0.2, sensor=(1, CHANNELS)))


def test_damaged_files_are_refused(tmp_path):
    shd(tmp_path / "x.h5")
    whole = (tmp_path / "x.h5").read_bytes()
    for cut in (0, 100, len(whole) // 2):
        (tmp_path / "x.h5").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="HDF5"):
            load_own(OwnData(str(tmp_path / "x.h5"), holdout=0.2))
