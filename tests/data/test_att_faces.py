import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from brainleaks.data import DATASETS, att_faces
from brainleaks.errors import InputError

FACES = DATASETS["att-faces"]


def pgm(value=0, size=(92, 112)):
    buffer = io.BytesIO()
    Image.new("L", size, value).save(buffer, "PPM")
    return buffer.getvalue()


def write_zip(folder: Path, change=None, prefix="") -> Path:
    """A forged database of flat images, with some members changed or (``None``) left out."""
    members = {f"s{p}/{i}.pgm": pgm(p + i) for p in range(1, 41) for i in range(1, 11)}
    members |= change or {}
    path = folder / "att_faces.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(prefix + name, content)
    return path


@pytest.mark.data
def test_the_published_archive(real_data):
    dataset = FACES.load(real_data)
    assert dataset.input_shape == (1, 112, 92)
    assert dataset.class_names[:4] == ("s1", "s10", "s11", "s12")
    assert len(dataset.train.labels) == 320
    assert dataset.test.labels.tolist() == [c for c in range(40) for _ in range(2)]


@pytest.mark.data
def test_split_is_name_sorted_and_folder_equals_archive(real_data, tmp_path):
    """``10.pgm`` is each person's second image; ``8.pgm`` and ``9.pgm`` are the test images."""
    archive = att_faces._find(real_data)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "att_faces")
    dataset = FACES.load(tmp_path)
    assert dataset.fingerprint == FACES.load(real_data).fingerprint

    def image(path):
        return np.asarray(Image.open(tmp_path / "att_faces" / path), dtype=np.float32) / 255

    assert np.array_equal(dataset.train.inputs[9, 0], image("s10/10.pgm"))
    assert np.array_equal(dataset.test.inputs[2, 0], image("s10/8.pgm"))
    assert np.array_equal(dataset.test.inputs[-1, 0], image("s9/9.pgm"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"s7/3.pgm": None}, "1 of 400 images missing, first s7/3.pgm"),
        ({"s2/1.pgm": pgm(size=(90, 112))}, "s2/1.pgm is a 90 x 112 image"),
        ({"s2/1.pgm": b"\x89PNG not a pgm"}, "s2/1.pgm is not a readable PGM"),
        ({"s2/1.pgm": pgm()[:500]}, "s2/1.pgm is not a readable PGM"),
        ({"s2/1.pgm": b"P5\n99999 99999\n255\n"}, "s2/1.pgm is not a readable PGM"),
        ({"s2/1.pgm": bytes(2 << 20)}, "s2/1.pgm has 2097152 bytes"),
        ({}, "not to the published"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "orl_faces/"])
def test_bad_archives(tmp_path, change, message, prefix):
    write_zip(tmp_path, change, prefix)
    with pytest.raises(InputError, match=message):
        FACES.load(tmp_path)


def test_truncated_archive(tmp_path):
    path = write_zip(tmp_path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="damaged, incomplete or encrypted archive"):
        FACES.load(tmp_path)


def test_corrupt_member(tmp_path):
    path = write_zip(tmp_path)
    content = bytearray(path.read_bytes())
    content[38] = 0x07  # no such block type
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged, incomplete or encrypted archive"):
        FACES.load(tmp_path)


def test_folder_with_a_missing_image(tmp_path):
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "1.pgm").write_bytes(pgm())
    with pytest.raises(InputError, match="399 of 400 images missing, first s1/10"):
        FACES.load(tmp_path)


def test_downloads_where_absent(tmp_path, monkeypatch):
    """The publisher's archive lands in the folder, whole; a second look does not download."""
    source = write_zip(tmp_path)
    asked = []

    def get(url, **kwargs):
        asked.append(url)
        response = requests.Response()
        response.status_code = 200
        response.raw = io.BytesIO(source.read_bytes())
        response.headers["content-length"] = str(source.stat().st_size)
        return response

    monkeypatch.setattr(requests, "get", get)
    folder = tmp_path / "data"
    for _ in range(2):
        FACES.fetch(folder)
    assert asked == [att_faces.URL]
    assert (folder / "att_faces" / "att_faces.zip").read_bytes() == source.read_bytes()


def test_a_page_instead_of_the_archive_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(att_faces, "download", lambda url, path: _write_page(path))
    with pytest.raises(InputError, match="not a zip archive"):
        FACES.fetch(tmp_path)
    assert not FACES.present(tmp_path)


def _write_page(path):
    path.parent.mkdir(parents=True)
    path.write_text("<html>log in first</html>")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (requests.ConnectionError("refused"), "no connection"),
        (requests.Timeout(), "did not answer in time"),
    ],
)
def test_no_network(tmp_path, monkeypatch, error, message):
    def get(*args, **kwargs):
        raise error

    monkeypatch.setattr(requests, "get", get)
    with pytest.raises(InputError, match=message):
        FACES.load(tmp_path / "data")
    assert not any(tmp_path.rglob("*.zip"))
    assert not (tmp_path / "data" / "att_faces").exists()
