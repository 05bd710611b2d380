"""Recordings of channels as lists of events: the same from ``.npz`` and HDF5, and what is none."""

import io

import h5py
import numpy as np
import pytest
import torch

from brainleaks import InputError
from brainleaks.audit.infer import Inputs, look
from brainleaks.data.own import OwnData, has_events, load_own

#: Six recordings of 0 to 5 events, of two classes.
COUNTS = np.arange(6)
LABELS = COUNTS % 2
TIMES = np.concatenate([0.1 + np.arange(n)[::-1] / 10 for n in COUNTS])  # in no order
UNITS = np.concatenate([np.arange(n) * 2 for n in COUNTS])


def arrays(**changes):
    whole = {"times": TIMES, "units": UNITS, "lengths": COUNTS, "labels": LABELS} | changes
    return {name: value for name, value in whole.items() if value is not None}


def as_npz(path, content):
    np.savez(path, **content)


def as_hdf5(path, content):
    """As SHD has them, from the same arrays."""
    with h5py.File(path, "w") as file:
        starts = np.cumsum(content["lengths"])[:-1]
        for name in ("times", "units"):
            rows = np.split(content[name], starts)
            kind = h5py.vlen_dtype(content[name].dtype)
            made = file.create_dataset(f"spikes/{name}", (len(rows),), dtype=kind)
            for i, row in enumerate(rows):
                made[i] = row
        file["labels"] = content["labels"]


WRITERS = {"a.npz": as_npz, "a.h5": as_hdf5}


def load(path, **how):
    return load_own(OwnData(str(path), holdout=0.5, bins=5, **how))


def expected():
    """Each event by itself, in five steps of a tenth of a second; the last is the longest's end."""
    frames, start = np.zeros((6, 5, 9)), 0
    for i, count in enumerate(COUNTS):
        for k in range(start, start + count):
            frames[i, min(4, int(TIMES[k] / 0.5 * 5)), UNITS[k]] = 1
        start += count
    return torch.tensor(frames).float()


@pytest.mark.parametrize("name", WRITERS)
def test_events_become_time_steps(tmp_path, name):
    WRITERS[name](tmp_path / name, arrays())
    assert not has_events(OwnData(str(tmp_path / name)))  # they are cut in one way alone
    dataset = load(tmp_path / name)
    parts = (dataset.train, dataset.test)
    found = torch.cat([part.inputs for part in parts]).squeeze(1)
    labels = torch.cat([part.labels for part in parts])
    wanted = expected()
    assert len(found) == 6
    for i in range(6):
        same = [
            (row == wanted[i]).all() and label == LABELS[i]
            for row, label in zip(found, labels, strict=True)
        ]
        assert any(same), i


def test_offsets_names_and_parts(tmp_path):
    offsets = np.concatenate([[0], np.cumsum(COUNTS)])
    names = np.array(["left", "right"])
    for part in ("train", "test"):
        content = arrays(lengths=None, offsets=offsets, class_names=names)
        as_npz(tmp_path / f"{part}.npz", content)
    dataset = load_own(OwnData(str(tmp_path), bins=5))
    assert dataset.class_names == ("left", "right")
    assert torch.equal(dataset.train.inputs.squeeze(1), expected())
    assert torch.equal(dataset.test.labels, torch.tensor(LABELS))


def test_an_audit_takes_them_for_recordings_of_channels(tmp_path):
    as_npz(tmp_path / "touch.npz", arrays())
    seen = look(OwnData(str(tmp_path / "touch.npz"), holdout=0.5), Inputs(steps=20), None)
    assert seen.encoding == "stream"
    assert seen.shape == (1, 20, 9)
    assert any("20 time steps and 9 channels" in sentence for sentence in seen.said)
    with pytest.raises(InputError, match="only event recordings in class folders are repaired"):
        look(OwnData(str(tmp_path / "touch.npz"), repair_times=True), Inputs(), None)


BAD = [
    ({"units": UNITS - 1}, {}, "has a spike of channel -1; expected 0 or more"),
    ({"units": UNITS}, {"sensor": (1, 5)}, "has a spike of channel 6; expected 0 to 4"),
    ({"units": UNITS + 0.5}, {}, "has a spike of channel 0.5"),
    ({"times": TIMES - 1}, {}, "recording 1 has a spike at -0.9 seconds; expected 0 or more"),
    ({"times": np.where(UNITS == 8, np.nan, TIMES)}, {}, "recording 5 has a spike at nan seconds"),
    ({"times": TIMES * 7_200}, {}, "lasts 3600 seconds; expected 0.001 to 600"),
    ({"times": TIMES * 2e-6}, {}, "lasts 1e-06 seconds; expected 0.001 to 600"),
    ({"times": np.rint(TIMES * 1_000)}, {}, "every time is a whole number, up to 500"),
    ({"labels": LABELS + 0.5}, {}, "labels are float64"),
    ({"labels": LABELS - 1}, {}, "begin with -1; expected one class for each recording"),
    ({"labels": np.stack([LABELS, LABELS], 1)}, {}, "one (class for each|entry a) recording"),
]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(("changes", "how", "said"), BAD)
def test_what_cannot_be_right_is_named(tmp_path, name, changes, how, said):
    WRITERS[name](tmp_path / name, arrays(**changes))
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path / name, **how)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": LABELS[1:]}, "has 5 labels for 6 recordings"),
        ({"labels": None}, "has no labels; expected the arrays times, units, labels"),
        ({"units": UNITS[1:]}, "has 14 units for 15 events"),
        ({"lengths": None}, "has neither; expected the arrays"),
        ({"offsets": COUNTS}, "has lengths and offsets; expected the arrays"),
        ({"lengths": COUNTS + 1}, "lengths add up to 21; expected 15"),
        ({"lengths": COUNTS - 1}, "lengths range from -1 to 4; expected 0 to 15"),
        ({"lengths": COUNTS * 1.0}, "expected whole numbers"),
        ({"lengths": None, "offsets": COUNTS}, "offsets must grow from 0 to 15"),
        ({"times": TIMES.reshape(3, 5)}, "times is an array of float64 of shape"),
        ({"times": TIMES.astype("U5")}, "expected one number for each event"),
    ],
)
def test_arrays_that_do_not_fit_together_are_named(tmp_path, changes, said):
    as_npz(tmp_path / "a.npz", arrays(**changes))
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path / "a.npz")
    assert "a.npz" in str(caught.value)


def test_lists_of_python_objects_are_not_unpickled(tmp_path):
    ragged = np.empty(6, object)
    ragged[:] = [np.arange(n) for n in COUNTS]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays(times=ragged))
    (tmp_path / "a.npz").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="Unpickling can run arbitrary code"):
        load(tmp_path / "a.npz")
