"""DVS128 Gesture: IBM's release, Tonic's folders, and the clips."""

import tarfile

import numpy as np
import pytest
import tonic
from test_events import aedat, polarity_event

from brainleaks import InputError
from brainleaks.data import dvsgesture, dvsgesture_clips

TEN_CLIPS = "file,class_index0\n" + "".join(f"{i}.bs2,{i}\n" for i in range(10))
HEAD = "class,startTime_usec,endTime_usec\n"


def release(base, labels=HEAD + "2,100,200\n11,200,300\n10,300,400\n"):
    """Two users; three gestures each, one of them of the class that is dropped."""
    folder = base / "dvsgesture" / "DvsGesture"
    folder.mkdir(parents=True)
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\n\n")
    (folder / "trials_to_test.txt").write_text("user02_led.aedat\n")
    for user in ("user01_led", "user02_led"):
        words = [polarity_event(t % 128, 5, t, t % 2) for t in range(90, 410, 10)]
        (folder / f"{user}.aedat").write_bytes(aedat([(1, 0, words)]))
        (folder / f"{user}_labels.csv").write_text(labels)
    return folder


def test_release_is_cut_by_its_labels(tmp_path):
    release(tmp_path)
    found = list(dvsgesture.recordings(tmp_path))
    assert [(r.part, r.name, r.label) for r in found] == [
        ("train", "user01_led/00", 1),
        ("train", "user01_led/02", 9),
        ("test", "user02_led/00", 1),
        ("test", "user02_led/02", 9),
    ]
    assert found[0].events.t.tolist() == list(range(100, 200, 10))
    assert found[1].events.t.tolist() == list(range(300, 400, 10))


def test_packed_release_is_the_same(tmp_path):
    folder = release(tmp_path / "a")
    (tmp_path / "b").mkdir()
    with tarfile.open(tmp_path / "b" / "DvsGesture.tar.gz", "w:gz") as archive:
        archive.add(folder, "DvsGesture")
    one, other = (list(dvsgesture.recordings(tmp_path / name)) for name in "ab")
    assert [r[:3] for r in one] == [r[:3] for r in other]
    assert all(np.array_equal(p.events.t, q.events.t) for p, q in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("time,class\n", "expected a table of class, startTime_usec, endTime_usec"),
        (HEAD + "2,100\n", "found '2,100'; expected 3 numbers"),
        (HEAD + "12,100,200\n", "expected a class from 1 to 11"),
        (HEAD + "2,200,100\n", "a start before the end"),
        (HEAD + "2,1000,2000\n", "/00 is empty"),
    ],
)
def test_malformed_labels_are_named(tmp_path, labels, message):
    release(tmp_path, labels)
    with pytest.raises(InputError, match=f"user01_led.*{message}"):
        list(dvsgesture.recordings(tmp_path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trials_to_test.txt", "trials_to_test.txt is missing"),
        ("user01_led_labels.csv", "user01_led.aedat has no label table"),
        ("user02_led.aedat", "1 recordings .* are missing, first user02_led.aedat"),
    ],
)
def test_missing_files_are_named(tmp_path, name, message):
    (release(tmp_path) / name).unlink()
    with pytest.raises(InputError, match=message):
        list(dvsgesture.recordings(tmp_path))


def tonic_folder(base, rows):
    for part in ("ibmGestureTrain", "ibmGestureTest"):
        folder = base / "DVSGesture" / part / "user01_fluorescent"
        folder.mkdir(parents=True)
        for label in (0, 9, 10):
            np.save(folder / f"{label}.npy", rows)


def test_tonics_folders(tmp_path, monkeypatch):
    rows = np.array([[1, 2, 0, 5], [127, 3, 1, 6.5], [0, 0, 1, 7]], dtype=np.float64)
    tonic_folder(tmp_path, rows)
    found = list(dvsgesture.recordings(tmp_path))
    assert [(r.part, r.name, r.label) for r in found] == [
        (part, f"user01_fluorescent/{label}", label)
        for part in ("train", "test")
        for label in (0, 9)
    ]
    monkeypatch.setattr(tonic.datasets.DVSGesture, "_check_exists", lambda self: True)
    reference = {label: events for events, label in tonic.datasets.DVSGesture(str(tmp_path))}
    for name in "xytp":
        assert np.array_equal(getattr(found[0].events, name), reference[0][name]), name


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((3, 3)), r"shape \(3, 3\); expected \(events, 4\)"),
        (np.zeros((0, 4)), "it holds no events"),
        (np.array([[128, 0, 0, 0]]), "off the sensor"),
        (np.array([[-1, 0, 0, 0]]), "off the sensor"),
        (np.array([[65541, 0, 0, 0]]), "off the sensor"),
        (np.array([[0, 0, 0, np.nan]]), "not finite numbers"),
        (np.array([["a", "b", "c", "d"]]), "not one array of numbers"),
        (np.array([[1, 0, 0, 3], [1, 0, 0, 2]]), "time runs backwards"),
        (np.array([{}]), "[Uu]npickling"),
    ],
)
def test_malformed_npy_is_named(tmp_path, rows, message):
    tonic_folder(tmp_path, rows)
    with pytest.raises(InputError, match=f"user01_fluorescent/0.npy.*{message}"):
        list(dvsgesture.recordings(tmp_path))


def test_absence_says_where_to_get_it(tmp_path):
    with pytest.raises(InputError, match=r"research.ibm.com/interactive/dvsgesture"):
        dvsgesture.fetch(tmp_path)
    with pytest.raises(InputError, match=r"labels_inferred.csv"):
        dvsgesture_clips.fetch(tmp_path)


@pytest.mark.data
def test_clips(real_data):
    found = list(dvsgesture_clips.recordings(real_data))
    parts = [r.part for r in found]
    assert (parts.count("train"), parts.count("test")) == dvsgesture_clips.SIZE
    for r in found:
        assert r.events.t[-1] - r.events.t[0] < 250_000
        # what trains ends where what tests begins
        assert r.events.t[-1] < 1_000_000 if r.part == "train" else r.events.t[0] >= 1_000_000


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,class_index0\n1.bs2,x\n", "expected a table"),
        ("file\n1.bs2\n", "expected a table"),
        ("file,class_index0\n1.bs2,0\n", "one clip of each of the ten gestures"),
        (TEN_CLIPS, "0.bs2, which .* missing"),
    ],
)
def test_malformed_clips_are_named(tmp_path, table, message):
    (tmp_path / "labels_inferred.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        list(dvsgesture_clips.recordings(tmp_path))
