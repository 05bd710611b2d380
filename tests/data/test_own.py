"""A user's own data: read right, and what is wrong with it said in a sentence."""

import io
import itertools
import shutil
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from brainleaks import InputError
from brainleaks.data import SpikeTrains, att_faces
from brainleaks.data.archives import identity_of
from brainleaks.data.arrays import Part, as_dataset
from brainleaks.data.image_files import read_image
from brainleaks.data.own import EventFolder, OwnData, as_own_dataset, has_events, load_own, survey


def picture(path, value=0, size=(5, 4), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def folder(root, parts=("train", "test"), classes=("b", "a"), each=2, **how):
    """Pictures as bright as the number of the class and the sample."""
    values = itertools.count(1)
    for part, name, i in itertools.product(parts, classes, range(each)):
        picture(root / part / name / f"{i}.png", next(values), **how)
    return root


def recording(path, events=60, sensor=(6, 8), polarities=2, seed=0):
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.sort(rng.integers(0, 9_000, events))
    t[[0, -1]] = 0, 9_000
    x, y = rng.integers(0, sensor[1], events), rng.integers(0, sensor[0], events)
    x[0], y[0] = sensor[1] - 1, sensor[0] - 1
    np.savez(path, x=x, y=y, t=t, p=rng.integers(0, polarities, events))


def test_a_folder_of_images(tmp_path):
    dataset = load_own(OwnData(str(folder(tmp_path / "faces"))))
    assert dataset.name == "faces"
    assert dataset.class_names == ("a", "b")
    assert dataset.input_shape == (1, 4, 5)
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    # written b first: b is 1, 2 and a is 3, 4
    brightness = (dataset.train.inputs[:, 0, 0, 0] * 255).round().int().tolist()
    assert brightness == [3, 4, 1, 2]
    assert (dataset.test.inputs[:, 0, 3, 4] * 255).round().int().tolist() == [7, 8, 5, 6]


@pytest.mark.data
def test_faces_in_folders_are_the_database(real_data, tmp_path):
    with zipfile.ZipFile(real_data / "att_faces" / "att_faces.zip") as archive:
        for person, i in itertools.product(("s1", "s10", "s2"), range(1, 11)):
            name = f"{i}.pgm"
            member = next(m for m in archive.namelist() if m.endswith(f"{person}/{name}"))
            part = "test" if i in (8, 9) else "train"  # the last two by name
            path = tmp_path / part / person / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(member))
    found, whole = load_own(OwnData(str(tmp_path))), att_faces.load(real_data)
    assert found.class_names == ("s1", "s10", "s2")
    assert whole.class_names.index("s2") == 11
    people = [0, 1, 11]
    for part, each in (("train", 8), ("test", 2)):
        mine, theirs = getattr(found, part), getattr(whole, part)
        rows = torch.tensor([p * each + i for p in people for i in range(each)])
        assert torch.equal(mine.inputs, theirs.inputs[rows])


@pytest.mark.data
def test_recordings_in_folders_are_nmnists(real_data, tmp_path):
    with tarfile.open(real_data / "nmnist" / "nmnist_1k.tar.gz") as archive:
        kept = [m for m in archive if m.name.endswith((".bin",))][:40:10]
        for member in kept:
            path = tmp_path / "train" / member.name.split("/")[-2] / member.name.split("/")[-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.extractfile(member).read())
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    found = survey(OwnData(str(tmp_path)))
    assert found.sensor == (34, 34)
    assert found.polarities == 2
    assert 280_000 < found.duration_us < 330_000


def test_classes_in_the_models_order(tmp_path):
    own = OwnData(str(folder(tmp_path)), classes=("b", "a"))
    dataset = load_own(own)
    assert dataset.class_names == ("b", "a")
    assert (dataset.train.inputs[:, 0, 0, 0] * 255).round().int().tolist() == [1, 2, 3, 4]
    for wrong in (("a",), ("a", "b", "c"), ("a", "a"), ("a", "c")):
        with pytest.raises(InputError, match=r"^classes: names"):
            load_own(OwnData(str(tmp_path), classes=wrong))


def test_holding_out_divides_every_class_the_same_way_each_time(tmp_path):
    folder(tmp_path, parts=(".",), each=10)
    own = OwnData(str(tmp_path), holdout=0.2)
    dataset = load_own(own)
    assert torch.bincount(dataset.train.labels).tolist() == [8, 8]
    assert torch.bincount(dataset.test.labels).tolist() == [2, 2]
    assert load_own(own).fingerprint == dataset.fingerprint
    both = torch.cat([dataset.train.inputs, dataset.test.inputs])[:, 0, 0, 0]
    assert sorted((both * 255).round().int().tolist()) == list(range(1, 21))


def test_what_archivers_and_notebooks_leave_behind_is_no_class(tmp_path):
    folder(tmp_path)
    for name in ("__MACOSX", ".ipynb_checkpoints"):
        for place in (tmp_path / "train" / name, tmp_path / "train" / "a" / name):
            picture(place / "0.png")
    picture(tmp_path / "train" / "a" / "._0.png")
    found = OwnData(str(tmp_path)).listing()
    assert found.class_names == ("a", "b")
    assert not [file for file in found.files if "MACOSX" in str(file.path)]
    assert load_own(OwnData(str(tmp_path))).train.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["train/a/9.png", "train/c", "test"])
def test_links_that_lead_out_are_not_followed(tmp_path, name):
    """A link within the data is."""
    data, secret = folder(tmp_path / "data"), folder(tmp_path / "secret")
    inside = data / "train" / "a" / "again.png"
    inside.symlink_to(data / "train" / "b" / "0.png")
    assert inside in [file.path for file in OwnData(str(data)).listing().files]
    if name == "test":
        shutil.rmtree(data / "test")
    leads_to = {"train/a/9.png": "train/a/0.png", "train/c": "train/a", "test": "test"}[name]
    (data / name).symlink_to(secret / leads_to)
    with pytest.raises(InputError, match=f"{name} is a link that leads out of .*, and is not fol"):
        OwnData(str(data)).listing()
    whole = tmp_path / "link"
    (data / name).unlink()
    whole.symlink_to(secret)
    assert len(OwnData(str(whole)).listing().files) == 8


def test_a_palette_of_greys_is_grey(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
    Image.fromarray(grey).convert("P").save(tmp_path / "grey.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "grey.bmp")
    for name in ("grey.png", "grey.bmp"):
        found = read_image(tmp_path / name)
        assert found.shape == (1, 4, 5)
        assert np.array_equal((found * 255).round(), grey[None])
    red = Image.new("P", (5, 4), 1)
    red.putpalette([0, 0, 0, 255, 0, 0])
    red.save(tmp_path / "red.png")
    assert read_image(tmp_path / "red.png")[:, 0, 0].tolist() == [1, 0, 0]


def test_formats_and_depths(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
    for name in ("a.png", "a.pgm", "a.bmp", "a.tiff", "a.webp"):
        Image.fromarray(grey).save(tmp_path / name, lossless=True)
        found = read_image(tmp_path / name)
        shown = found[:1] if name == "a.webp" else found  # WebP has no grey
        assert np.array_equal((shown * 255).round(), grey[None]), name
    Image.fromarray(grey).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg") * 255 - grey).max() < 8
    deep = grey.astype(np.uint16) * 257
    for name in ("deep.png", "deep.pgm", "deep.tiff"):
        Image.fromarray(deep).save(tmp_path / name)
        assert np.allclose(read_image(tmp_path / name), grey[None] / 255, atol=1e-6), name
    colour = np.stack([grey, grey // 2, grey // 3], 2)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    assert np.array_equal(
        (read_image(tmp_path / "colour.png") * 255).round(), colour.transpose(2, 0, 1)
    )
    Image.fromarray(colour).convert("RGBA").save(tmp_path / "clear.png")
    assert np.array_equal(read_image(tmp_path / "clear.png"), read_image(tmp_path / "colour.png"))
    Image.fromarray(grey > 100).save(tmp_path / "bits.png")
    assert np.array_equal(read_image(tmp_path / "bits.png")[0], grey > 100)


def test_grey_among_colour(tmp_path):
    folder(tmp_path, classes=("a",))
    picture(tmp_path / "train" / "a" / "red.png", (255, 0, 0), mode="RGB")
    assert load_own(OwnData(str(tmp_path))).input_shape == (3, 4, 5)
    dataset = load_own(OwnData(str(tmp_path), channels="grey"))
    assert dataset.input_shape == (1, 4, 5)
    assert float(dataset.train.inputs[2].mean()) == pytest.approx(0.299, abs=1e-3)
    assert load_own(OwnData(str(folder(tmp_path / "all")), channels="rgb")).input_shape == (3, 4, 5)


def wrong_folders(root):
    """A folder that is none, its holdout, and what is said of it."""
    yield root / "absent", None, "no such file or folder"
    yield folder(root / "whole", parts=(".",)), None, "holdout=0.2"
    yield folder(root / "train only", parts=("train",)), None, "no test folder"
    yield folder(root / "divided"), 0.2, "holdout: .* has a test folder"
    (root / "nothing" / "train").mkdir(parents=True)
    (root / "nothing" / "test").mkdir()
    yield root / "nothing", None, "no sub-folders"
    place = folder(root / "empty class")
    (place / "train" / "c").mkdir()
    yield place, None, "train/c is empty: the class c has no samples"
    (root / "all empty" / "a").mkdir(parents=True)
    yield root / "all empty", 0.2, "no class has any images, event recordings or sound"
    place = folder(root / "unknown")
    (place / "train" / "a" / "notes.docx").write_text("")
    yield place, None, "notes.docx has an unknown file type; expected images"
    place = folder(root / "test only")
    picture(place / "test" / "c" / "0.png")
    yield place, None, "the class c is only in test"
    place = folder(root / "one", parts=(".",))
    picture(place / "c" / "0.png")
    yield place, 0.2, "the class c has 1 sample; holding out requires at least two"
    place = folder(root / "both kinds")
    recording(place / "train" / "a" / "r.npz")
    yield place, None, "has both images .* and event recordings"
    place = folder(root / "sizes")
    picture(place / "test" / "b" / "9.png", size=(6, 4))
    yield place, None, "9.png has 6 x 4 pixels but .* 5 x 4; all images must have the same size"
    for name, content in (("cut.png", _png()[:60]), ("text.jpg", b"hello"), ("none.png", b"")):
        place = folder(root / name)
        (place / "train" / "a" / name).write_bytes(content)
        yield place, None, f"{name} is not a readable image"
    place = folder(root / "mode")
    Image.fromarray(np.zeros((4, 5), np.float32)).save(place / "train" / "a" / "float.tiff")
    yield place, None, "float.tiff is an image of mode F; expected grey or colour"
    place = folder(root / "bomb")
    (place / "train" / "a" / "bomb.pgm").write_bytes(b"P5 20000 20000 255\n")
    yield place, None, "bomb.pgm is not a readable image"


def _png():
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 50).save(buffer, "PNG")
    return buffer.getvalue()


def test_what_is_no_folder_of_images_is_named(tmp_path):
    for path, holdout, said in wrong_folders(tmp_path):
        own = OwnData(str(path), holdout=holdout)
        with pytest.raises(InputError, match=said) as caught:
            has_events(own) or load_own(own)
        assert str(caught.value).count("\n") == 0
        assert "<_io" not in str(caught.value)


def test_litter_is_passed_over(tmp_path):
    folder(tmp_path)
    (tmp_path / "train" / ".cache").mkdir()
    for name in (".DS_Store", "Thumbs.db"):
        (tmp_path / "train" / "a" / name).write_bytes(b"")
    assert len(load_own(OwnData(str(tmp_path))).train.labels) == 4


def test_caches_of_recordings_stay_valid(tmp_path):
    """The key is the one of before there were text, repairs and units by default."""
    recording(tmp_path / "train" / "a" / "0.npz", seed=0)
    recording(tmp_path / "test" / "a" / "0.npz", seed=1)
    own = OwnData(str(tmp_path), sensor=(6, 8))
    before = (
        f"OwnData(path={str(tmp_path)!r}, holdout=None, classes=None, channels=None, "
        "sensor=(6, 8), time_unit='us', framed=False, bins=None) "
    )
    key = EventFolder(own).identity(tmp_path)
    assert key == before + identity_of([tmp_path])
    assert EventFolder(replace(own, time_unit="us")).identity(tmp_path) == key
    assert EventFolder(replace(own, repair_times=True)).identity(tmp_path) != key
    (tmp_path / "train" / "a" / "0.npz").unlink()
    (tmp_path / "train" / "a" / "0.csv").write_text("x,y,p,t\n1,2,1,0\n")
    units = [EventFolder(replace(own, time_unit=unit)).identity(tmp_path) for unit in (None, "us")]
    assert units[0] != units[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("0.bag", r"0\.bag is a ROS bag; export its events to text"),
        ("0.mat", r"0\.mat is a MATLAB file; save x, y, t and p to \.npz"),
        ("0.xyz", r"0\.xyz has an unknown file type; expected images .* event recordings \(\.bin"),
    ],
)
def test_formats_that_are_not_read_are_named(tmp_path, name, said):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        (tmp_path / part / "a" / name).write_bytes(b"0")
    with pytest.raises(InputError, match=said):
        has_events(OwnData(str(tmp_path)))


def test_a_folder_of_recordings(tmp_path):
    for i, (part, name) in enumerate(itertools.product(("train", "test"), ("a", "b"))):
        recording(tmp_path / part / name / "0.npz", seed=i)
    own = OwnData(str(tmp_path))
    assert has_events(own)
    assert survey(own) == ((6, 8), 2, 9_000, 60, False, (0, 0), 0)
    assert survey(OwnData(str(tmp_path), sensor=(9, 9))).sensor == (9, 9)
    source = EventFolder(OwnData(str(tmp_path), sensor=(6, 8)))
    found = list(source.recordings(tmp_path))
    assert [(r.part, r.name, r.label) for r in found] == [
        ("train", "train/a/0.npz", 0),
        ("train", "train/b/0.npz", 1),
        ("test", "test/a/0.npz", 0),
        ("test", "test/b/0.npz", 1),
    ]
    with pytest.raises(InputError, match=r"0.npz: event 0 .* off the sensor of 8 x 5"):
        list(EventFolder(OwnData(str(tmp_path), sensor=(5, 8))).recordings(tmp_path))


def test_arrays(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)
    labels = np.array([0, 1, 0, 1, 0, 1])
    path = tmp_path / "own.npz"
    names = np.array(["cat", "dog"])
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels, class_names=names)
    dataset = load_own(OwnData(str(path)))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.input_shape == (3, 4, 5)
    assert np.array_equal((dataset.train.inputs * 255).round(), images.transpose(0, 3, 1, 2))
    np.savez(path, images=images[..., 0] / 255, labels=labels)
    held = load_own(OwnData(str(path), holdout=0.3))
    assert (len(held.train.labels), len(held.test.labels)) == (4, 2)
    assert held.class_names == ("0", "1")


def test_recordings_in_frames():
    frames = np.random.default_rng(0).integers(0, 3, (4, 7, 2, 4, 5))
    labels = np.array([0, 1, 0, 1])
    dataset = as_own_dataset(
        OwnData("here"),
        (TensorDataset(torch.tensor(frames), torch.tensor(labels)),) * 2,
    )
    assert isinstance(dataset.train.inputs, SpikeTrains)
    assert dataset.input_shape == (2, 4, 5)
    dense = dataset.train.inputs[torch.arange(4)]
    assert np.array_equal(dense, (frames > 0).swapaxes(0, 1))


class Pictures:
    """A data set as torchvision's are without a transform."""

    classes = ("x", "y")

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return Image.new("RGB", (5, 4), (i, 0, 255)), i % 2


def test_a_data_set_of_pictures():
    dataset = as_own_dataset(OwnData("here", holdout=0.5), Pictures())
    assert dataset.class_names == ("x", "y")
    assert dataset.input_shape == (3, 4, 5)
    assert float(dataset.train.inputs[:, 2].min()) == 1


def test_a_function_that_returns_a_data_set(tmp_path, monkeypatch):
    (tmp_path / "my_data_sets.py").write_text(
        "import torch\n"
        "from torch.utils.data import TensorDataset\n"
        "def whole():\n"
        "    return TensorDataset(torch.rand(4, 1, 4, 5), torch.tensor([0, 1, 0, 1]))\n"
        "def three():\n"
        "    return [whole()] * 3\n"
        "def broken():\n"
        "    return 1 / 0\n"
    )
    monkeypatch.chdir(tmp_path)
    dataset = load_own(OwnData("my_data_sets:whole", holdout=0.5))
    assert dataset.name == "my_data_sets:whole"
    assert len(dataset.train.labels) == 2
    for function, said in (
        ("three", "my_data_sets:three holds 3 objects"),
        ("broken", "calling data my_data_sets:broken fails with ZeroDivisionError"),
        ("absent", "data is my_data_sets:absent, but my_data_sets has no such name"),
    ):
        with pytest.raises(InputError, match=said):
            load_own(OwnData(f"my_data_sets:{function}", holdout=0.5))
    with pytest.raises(InputError, match="data no_such_module:f cannot be imported"):
        load_own(OwnData("no_such_module:f"))


LABELS = np.array([0, 1, 0, 1])
IMAGES = np.zeros((4, 1, 4, 5), np.float32)
WRONG_ARRAYS = [
    ({"x": IMAGES, "y": LABELS}, None, "no test split"),
    ({"z": IMAGES}, None, "expected x_train, y_train"),
    ({"x": IMAGES, "y": LABELS[:3]}, 0.5, "found 4 inputs and 3 labels"),
    ({"x": IMAGES, "y": LABELS / 1}, 0.5, "labels are float64"),
    ({"x": IMAGES + 1.5, "y": LABELS}, 0.5, r"expected images in \[0, 1\]"),
    ({"x": IMAGES * np.nan, "y": LABELS}, 0.5, "not finite numbers"),
    ({"x": IMAGES.reshape(4, 20), "y": LABELS}, 0.5, "expected images"),
    ({"x": IMAGES.astype(str), "y": LABELS}, 0.5, "expected numbers"),
    ({"x": IMAGES, "y": LABELS - 1}, 0.5, "expected 0 to"),
    ({"x": IMAGES, "y": np.array([0, 0, 2, 2])}, 0.5, "the class 1 has 0 sample"),
    ({"x": np.zeros((4, 3, 1, 4, 5)) - 1, "y": LABELS}, 0.5, "expected spikes"),
    (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 1},
        None,
        "class 2 is only in the test split",
    ),
    (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[..., :4], "y_test": LABELS},
        None,
        "test inputs",
    ),
    (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS},
        0.5,
        "holdout: own already",
    ),
]


@pytest.mark.parametrize(("arrays", "holdout", "said"), WRONG_ARRAYS)
def test_what_is_no_array_of_samples_is_named(tmp_path, arrays, holdout, said):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(InputError, match=said):
        load_own(OwnData(str(tmp_path / "own.npz"), holdout=holdout))


def test_arrays_are_not_unpickled(tmp_path):
    objects = np.array([{}, {}], object)
    np.savez(tmp_path / "own.npz", x=objects, y=LABELS)
    with pytest.raises(InputError, match=r"[Uu]npickling"):
        load_own(OwnData(str(tmp_path / "own.npz")))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "own.npz").read_bytes()[:50])
    with pytest.raises(InputError, match=r"not a complete .npy or .npz file"):
        load_own(OwnData(str(tmp_path / "cut.npz")))
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("x.npy", "hello")
    with pytest.raises(InputError, match=r"not a complete .npy or .npz file"):
        load_own(OwnData(str(tmp_path / "text.npz")))
    (tmp_path / "own.csv").write_text("1,2")
    with pytest.raises(InputError, match=r"neither a folder nor an .npz"):
        load_own(OwnData(str(tmp_path / "own.csv")))


def test_a_data_set_that_is_none():
    with pytest.raises(InputError, match="not a torch data set"):
        as_own_dataset(OwnData("here"), 3)
    with pytest.raises(InputError, match="is empty"):
        as_own_dataset(OwnData("here"), [[], []])
    mixed = [(torch.zeros(1, 4, 5), 0), (torch.zeros(1, 5, 5), 1)]
    with pytest.raises(InputError, match=r"mixes inputs of shape \(1, 4, 5\) and \(1, 5, 5\)"):
        as_own_dataset(OwnData("here"), (mixed, mixed))


def test_names_that_do_not_fit():
    part = Part(IMAGES, LABELS)
    with pytest.raises(InputError, match="one for each of 1 classes"):
        as_dataset("own", part, part, holdout=None, class_names=("a",))
