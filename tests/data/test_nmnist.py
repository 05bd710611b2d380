"""N-MNIST from a folder, zips and tars; whole, in part, and damaged."""

import gzip
import io
import shutil
import tarfile
import zipfile

import pytest

from brainleaks import InputError
from brainleaks.data import mnist, nmnist, nmnist_1k
from brainleaks.data.events import Framing, framed

EVENT = bytes([3, 4, 0, 0, 9])
FILES = {
    "Train/0/00002.bin": EVENT * 3,
    "Train/5/00001.bin": EVENT,
    "Test/7/00001.bin": EVENT * 2,
}


def as_folder(base):
    for name, content in FILES.items():
        path = base / "nmnist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def as_publishers_zips(base):
    base.mkdir(exist_ok=True)
    for part in ("Train", "Test"):
        with zipfile.ZipFile(base / f"{part}.zip", "w") as archive:
            for name, content in FILES.items():
                if name.startswith(part):
                    archive.writestr(name, content)


def as_tar(base):
    as_folder(base / "scratch")
    with tarfile.open(base / "nmnist_few.tar.gz", "w:gz") as archive:
        archive.add(base / "scratch" / "nmnist", ".")


@pytest.mark.parametrize("form", [as_folder, as_publishers_zips, as_tar])
def test_every_form(tmp_path, form):
    assert not nmnist.present(tmp_path)
    form(tmp_path)
    assert nmnist.present(tmp_path)
    found = {(r.part, r.name): (r.label, len(r.events.t)) for r in nmnist.recordings(tmp_path)}
    assert found == {
        ("train", "00002"): (0, 3),
        ("train", "00001"): (5, 1),
        ("test", "00001"): (7, 2),
    }


def test_identity_changes_with_the_files(tmp_path):
    as_folder(tmp_path)
    before = nmnist.identity(tmp_path)
    (tmp_path / "nmnist" / "Train" / "0" / "00002.bin").write_bytes(EVENT * 4)
    assert nmnist.identity(tmp_path) != before


@pytest.mark.data
def test_the_subset(real_data):
    recordings = list(nmnist_1k.recordings(real_data))
    train = sorted((r for r in recordings if r.part == "train"), key=lambda r: r.name)
    assert (len(train), len(recordings) - len(train)) == nmnist_1k.SIZE
    # recording n is of MNIST's image n
    labels = mnist.load(real_data).train.labels[:1000].tolist()
    assert [int(r.name) for r in train] == list(range(1, 1001))
    assert [r.label for r in train] == labels


def test_malformed_and_strange_files_are_named(tmp_path):
    as_folder(tmp_path)
    bad = tmp_path / "nmnist" / "Train" / "5" / "00001.bin"
    bad.write_bytes(EVENT + b"x")
    with pytest.raises(InputError, match=r"Train/5/00001.bin is 6 bytes long"):
        list(nmnist.recordings(tmp_path))
    bad.rename(bad.with_name("five.bin"))
    with pytest.raises(InputError, match=r"Train/5/five.bin is not a recording of N-MNIST"):
        list(nmnist.recordings(tmp_path))


def test_damaged_archive_is_named(tmp_path):
    as_publishers_zips(tmp_path)
    whole = (tmp_path / "Train.zip").read_bytes()
    (tmp_path / "Train.zip").write_bytes(whole[:-30])
    with pytest.raises(InputError, match=r"Train.zip: damaged, incomplete or encrypted archive"):
        list(nmnist.recordings(tmp_path))


def test_cut_tar_is_no_smaller_data_set(tmp_path):
    """Where a header is cut off or damaged, ``tarfile`` alone stops as at the archive's end."""
    as_tar(tmp_path)
    tar = gzip.decompress((tmp_path / "nmnist_few.tar.gz").read_bytes())
    (tmp_path / "nmnist_few.tar.gz").unlink()
    path = tmp_path / "nmnist_few.tar"
    path.write_bytes(tar)
    assert len(list(nmnist.recordings(tmp_path))) == 3
    with tarfile.open(path) as archive:
        headers = [info.offset for info in archive][1:]
    for offset in headers:
        for content in (tar[:offset], tar[: offset + 99], tar[:offset] + b"x" * 512 + tar[offset:]):
            path.write_bytes(content)
            with pytest.raises(InputError, match=r"nmnist_few.tar: damaged, incomplete"):
                list(nmnist.recordings(tmp_path))


def test_hard_links_are_followed(tmp_path):
    with tarfile.open(tmp_path / "nmnist.tar", "w") as archive:
        first = tarfile.TarInfo("Train/0/00001.bin")
        first.size = len(EVENT)
        archive.addfile(first, io.BytesIO(EVENT))
        link = tarfile.TarInfo("Test/0/00001.bin")
        link.type, link.linkname = tarfile.LNKTYPE, first.name
        archive.addfile(link)
    assert [(r.part, len(r.events.t)) for r in nmnist.recordings(tmp_path)] == [
        ("train", 1),
        ("test", 1),
    ]


def test_capital_endings(tmp_path):
    as_publishers_zips(tmp_path)
    for part in ("Train", "Test"):
        (tmp_path / f"{part}.zip").rename(tmp_path / f"{part.upper()}.ZIP")
    assert len(list(nmnist.recordings(tmp_path))) == 3


def test_two_forms_at_once_are_refused(tmp_path):
    as_publishers_zips(tmp_path)
    as_tar(tmp_path)
    framing = Framing(frame_us=5)
    with pytest.raises(InputError, match=r"recording 0000\d exists twice; keep one form"):
        framed("nmnist", nmnist.recordings(tmp_path), framing, sensor=(34, 34), class_names=())


def test_half_a_download_is_gone_on_with(tmp_path, monkeypatch):
    (tmp_path / "nmnist").mkdir()
    as_publishers_zips(tmp_path / "nmnist")
    whole = (tmp_path / "nmnist" / "Test.zip").read_bytes()
    (tmp_path / "nmnist" / "Test.zip").unlink()
    monkeypatch.setattr(nmnist, "download", lambda url, path, checksum: path.write_bytes(whole))
    nmnist.fetch(tmp_path)
    assert len(list(nmnist.recordings(tmp_path))) == 3


def test_huge_file_is_not_read(tmp_path, monkeypatch):
    as_publishers_zips(tmp_path)
    monkeypatch.setattr(nmnist, "_LARGEST_RECORDING", 10)
    with pytest.raises(InputError, match=r"Train/0/00002.bin has 15 bytes; expected at most 10"):
        list(nmnist.recordings(tmp_path))


def test_downloads_where_there_are_none(tmp_path, monkeypatch):
    as_publishers_zips(tmp_path / "publisher")
    asked = []

    def download(url, destination, checksum):
        assert checksum.startswith("md5:")
        asked.append(destination.name)
        destination.parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "publisher" / destination.name, destination)

    monkeypatch.setattr(nmnist, "download", download)
    assert len(list(nmnist.recordings(tmp_path))) == 3
    assert asked == ["Train.zip", "Test.zip"]
