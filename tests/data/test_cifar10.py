import hashlib
import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from brainleaks.data import DATASETS, cifar10, cifar10_25k
from brainleaks.data.cifar10 import CLASS_NAMES
from brainleaks.errors import InputError

FILES = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]


def batch(number):
    """10,000 records: labels 0 to 9 in turn; red is the file, green the row, blue the column."""
    record = np.zeros((10_000, 3073), np.uint8)
    record[:, 0] = np.arange(10_000) % 10
    planes = record[:, 1:].reshape(-1, 3, 32, 32)
    planes[:, 0] = number
    planes[:, 1] = np.arange(32)[:, None]
    planes[:, 2] = np.arange(32)
    return record.tobytes()


def write_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def binary(folder, change=None):
    members = {name: batch(number) for number, name in enumerate(FILES, 1)} | (change or {})
    members = {f"cifar-10-batches-bin/{name}": m for name, m in members.items() if m is not None}
    return write_tar(folder / "cifar10" / cifar10.ARCHIVE, members)


def as_published(path, monkeypatch):
    monkeypatch.setattr(cifar10, "CHECKSUM", hashlib.md5(path.read_bytes()).hexdigest())


def test_the_binary_version(tmp_path, monkeypatch):
    source = DATASETS["cifar10"]
    assert not source.present(tmp_path)
    archive = binary(tmp_path)
    as_published(archive, monkeypatch)
    assert source.present(tmp_path)
    dataset = source.load(tmp_path)
    check_binary(dataset)
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "unpacked" / "cifar10", filter="data")
    assert cifar10.load(tmp_path / "unpacked").fingerprint == dataset.fingerprint


def check_binary(dataset):
    assert (len(dataset.train.labels), len(dataset.test.labels)) == cifar10.SIZE
    assert dataset.input_shape == (3, 32, 32)
    assert dataset.class_names[:3] == ("airplane", "automobile", "bird")
    image = (dataset.train.inputs[10_007] * 255).round()
    assert dataset.train.labels[10_007] == 7
    assert (image[0] == 2).all()
    assert torch.equal(image[1], torch.arange(32.0).unsqueeze(1).expand(32, 32))
    assert torch.equal(image[2], torch.arange(32.0).expand(32, 32))
    assert (dataset.test.inputs[:, 0] * 255).round().unique().tolist() == [6]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data_batch_3.bin": None}, "data_batch_3.bin is missing; expected 10,000 records"),
        ({"data_batch_3.bin": b"short"}, "data_batch_3.bin has 5 bytes; expected 10,000"),
        ({"test_batch.bin": bytes(30_730_001)}, "has 30730001 bytes; expected at most 30730000"),
        ({"test_batch.bin": bytes([11]) * 30_730_000}, "holds label 11; expected 0 to 9"),
    ],
)
def test_malformed_files_are_named(tmp_path, monkeypatch, change, said):
    as_published(binary(tmp_path, change), monkeypatch)
    with pytest.raises(InputError, match=said):
        cifar10.load(tmp_path)


def test_another_archive_is_refused(tmp_path):
    path = tmp_path / "cifar10" / cifar10.ARCHIVE
    path.parent.mkdir()
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="expected the published c32a1d4a"):
        cifar10.load(tmp_path)


def test_downloads_the_archive_with_its_checksum(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(cifar10, "download", lambda *given: asked.append(given))
    cifar10.fetch(tmp_path)
    wanted = (cifar10.URL, tmp_path / "cifar10" / cifar10.ARCHIVE, f"md5:{cifar10.CHECKSUM}")
    assert asked == [wanted]


def jpeg(value, size=(32, 32)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, 2 * value, 255 - value)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def photographs(folder, monkeypatch, change=None):
    """One flat training and one flat test image a class, as if those were all."""
    members = {f"train/{name}/0000.jpg": jpeg(10 * c) for c, name in enumerate(CLASS_NAMES)}
    members |= {f"test/{name}/0000.jpg": jpeg(10 * c + 5) for c, name in enumerate(CLASS_NAMES)}
    members |= change or {}
    monkeypatch.setattr(cifar10_25k, "PARTS", {"train": 1, "test": 1})
    write_tar(folder / "cifar10" / cifar10_25k.ARCHIVE, members)
    digest = hashlib.sha256()
    for part in ("test", "train"):
        for name in CLASS_NAMES:
            digest.update(members[f"{part}/{name}/0000.jpg"])
    return digest.hexdigest()


def test_photographs_by_class_and_number(tmp_path, monkeypatch):
    checksum = photographs(tmp_path, monkeypatch)
    monkeypatch.setattr(cifar10_25k, "CHECKSUM", checksum)
    dataset = cifar10_25k.load(tmp_path)
    assert dataset.train.labels.tolist() == list(range(10))
    colour = torch.tensor([35.0, 70, 220]) / 255
    found = dataset.test.inputs[3]
    assert (found - colour.view(3, 1, 1)).abs().max() < 3 / 255


@pytest.mark.parametrize(
    ("change", "known", "said"),
    [
        ({}, False, "some image was altered"),
        ({"train/cat/0000.jpg": jpeg(9, (32, 31))}, True, r"train/cat/0000.jpg has shape \(31, 32"),
        ({"train/cat/0001.jpg": jpeg(9)}, True, "holds 21 images .*; expected 20"),
    ],
)
def test_other_photographs_are_refused(tmp_path, monkeypatch, change, known, said):
    checksum = photographs(tmp_path, monkeypatch, change)
    if known:
        monkeypatch.setattr(cifar10_25k, "CHECKSUM", checksum)
    with pytest.raises(InputError, match=said):
        cifar10_25k.load(tmp_path)


def test_photographs_have_no_publisher(tmp_path):
    with pytest.raises(InputError, match="no publisher to download it from; put it there"):
        cifar10_25k.load(tmp_path)


def test_real_photographs(real_data):
    """Balanced in any beginning; pixels are those that Pillow decodes of a file read by itself."""
    dataset = DATASETS["cifar10-25k"].load(real_data)
    assert (len(dataset.train.labels), len(dataset.test.labels)) == (20_000, 5_000)
    assert torch.bincount(dataset.train.labels[:500]).tolist() == [50] * 10
    with tarfile.open(real_data / "cifar10" / cifar10_25k.ARCHIVE) as opened:
        file = opened.extractfile("train/frog/0123.jpg")
        pixels = np.asarray(Image.open(io.BytesIO(file.read())))
    found = dataset.train.inputs[123 * 10 + 6]
    assert dataset.class_names[dataset.train.labels[123 * 10 + 6]] == "frog"
    assert torch.equal((found * 255).round().byte(), torch.tensor(pixels).permute(2, 0, 1))
    # the ten classes differ in their mean colour: ships and airplanes are the bluest
    inputs, labels, _ = dataset.train
    blue = [float((inputs[labels == c, 2] - inputs[labels == c, 0]).mean()) for c in range(10)]
    assert {CLASS_NAMES[c] for c in np.argsort(blue)[-2:]} == {"airplane", "ship"}
