"""MNIST from every form that mirrors and libraries leave it in."""

import gzip
import shutil

import numpy as np
import pytest
import requests

from brainleaks import InputError
from brainleaks.data import mnist

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture
def copy(real_data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(real_data / "mnist", folder / "mnist")
    return folder


@pytest.mark.data
def test_is_mnist(real_data):
    dataset = mnist.load(real_data)
    assert (len(dataset.train.labels), len(dataset.test.labels)) == mnist.SIZE
    assert dataset.input_shape == (1, 28, 28)
    assert dataset.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # as published
    assert dataset.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # mean and deviation of MNIST's training pixels, as everybody normalises by them
    assert float(dataset.train.inputs.mean()) == pytest.approx(0.1307, abs=1e-4)
    assert float(dataset.train.inputs.std()) == pytest.approx(0.3081, abs=1e-4)


@pytest.mark.data
def test_other_forms_are_the_same_data(real_data, tmp_path):
    """Unzipped in torchvision's folder; packed again, with another archive's checksum."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in mnist.FILES:
        content = gzip.decompress((real_data / "mnist" / f"{name}.gz").read_bytes())
        if "labels" in name:
            (raw / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (raw / name).write_bytes(content)
    assert mnist.load(tmp_path).fingerprint == mnist.load(real_data).fingerprint


@pytest.mark.data
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: gzip.compress(content[:-1]), "60007 bytes that begin with 00000801"),
        (lambda content: gzip.compress(b"\x00" * 99), "99 bytes that begin with 00000000"),
        (lambda content: gzip.compress(content[:-1] + b"\x01"), "decodes to checksum"),
        (lambda content: gzip.compress(content)[:-50], "damaged gzip archive"),
        (lambda content: b"not gzip", "damaged gzip archive"),
    ],
)
def test_damage_is_named(copy, damage, message):
    path = copy / "mnist" / f"{LABELS}.gz"
    content = gzip.decompress(path.read_bytes())
    path.chmod(0o644)
    path.write_bytes(damage(content))
    with pytest.raises(InputError, match=f"{LABELS}.gz.*{message}.*brainleaks data fetch mnist"):
        mnist.load(copy)


@pytest.mark.data
def test_fetches_what_is_missing_from_the_next_mirror(copy, real_data, monkeypatch):
    (copy / "mnist" / f"{IMAGES}.gz").unlink()
    assert not mnist.present(copy)
    asked = []

    def download(url, destination):
        asked.append(url)
        if url.startswith(mnist.MIRRORS[0]):
            raise InputError("no connection")
        destination.write_bytes((real_data / "mnist" / f"{IMAGES}.gz").read_bytes())

    monkeypatch.setattr(mnist, "download", download)
    assert len(mnist.load(copy).train.labels) == 60_000
    assert asked == [f"{mirror}/{IMAGES}.gz" for mirror in mnist.MIRRORS]


def test_says_when_no_mirror_answers(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "get", no_network)
    with pytest.raises(InputError, match=r"cannot download .*train-images-idx3-ubyte.gz"):
        mnist.load(tmp_path)


def test_header_is_the_idx_magic_number():
    assert mnist._header((60_000, 28, 28)) == np.array([0x803, 60_000, 28, 28], ">u4").tobytes()
