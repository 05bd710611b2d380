"""CIFAR-10: 60,000 colour photographs of ten kinds of things, 32 x 32; 50,000 train, 10,000 test.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009;
https://www.cs.toronto.edu/~kriz/cifar.html, free for research with that citation. Read from the
binary version: the archive, whose MD5 is published beside it, or its unpacked folder. Six files
hold 10,000 records each: a byte of label, then 1,024 bytes each of red, green and blue, row by row.
:mod:`brainleaks.data.cifar10_25k` is a part of it in another form.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from brainleaks.data.archives import contents
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.files import download
from brainleaks.errors import InputError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"
#: MD5 of the archive, as its page states it.
CHECKSUM = "c32a1d4ab5d03f1284b67883e8d87530"
TRAIN_FILES = tuple(f"data_batch_{n}.bin" for n in range(1, 6))
TEST_FILE = "test_batch.bin"
RECORDS, SIDE = 10_000, 32
SIZE = (50_000, 10_000)
CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

_RECORD = 1 + 3 * SIDE * SIDE


def present(folder: Path) -> bool:
    """Whether the archive or the unpacked folder lies below a data folder."""
    return _find(folder) is not None


def fetch(folder: Path) -> None:
    """Download the archive, of 170 MB, into ``folder`` unless the data is there.

    Raises:
        InputError: if the publisher cannot be reached, sends another file, or the folder cannot be
            written.
    """
    if not present(folder):
        download(URL, folder / "cifar10" / ARCHIVE, f"md5:{CHECKSUM}")


def load(folder: Path) -> Dataset:
    """Read the archive or the unpacked folder below ``folder``; download it where absent.

    Raises:
        InputError: if the archive is not the published one, or a file is missing or malformed.
    """
    fetch(folder)
    source = _find(folder) or folder
    if source.is_file():
        _check(source)
    found = {
        name.rpartition("/")[2]: content
        for name, content in contents(source, ".bin", largest=RECORDS * _RECORD)
    }
    train = [_records(source, name, found.get(name)) for name in TRAIN_FILES]
    test = _records(source, TEST_FILE, found.get(TEST_FILE))
    return as_dataset("cifar10", np.concatenate(train), test)


def as_dataset(name: str, train: NDArray[np.uint8], test: NDArray[np.uint8]) -> Dataset:
    """A data set of records ``(N, 3073)``: a label and ``3 x 32 x 32`` bytes."""
    return Dataset(name, _samples(train), _samples(test), CLASS_NAMES)


def _samples(records: NDArray[np.uint8]) -> Samples:
    pixels = torch.from_numpy(records[:, 1:]).float().div_(255)
    labels = torch.from_numpy(records[:, 0]).long()
    return Samples(pixels.view(-1, 3, SIDE, SIDE), labels)


def _find(folder: Path) -> Path | None:
    for base in (folder / "cifar10", folder):
        if (base / ARCHIVE).is_file():
            return base / ARCHIVE
        if (base / FOLDER).is_dir():
            return base / FOLDER
    return None


def _check(archive: Path) -> None:
    try:
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {archive}: {error.strerror or error}.") from error
    if found != CHECKSUM:
        raise InputError(
            f"{archive} has MD5 {found}, expected the published {CHECKSUM}; delete it and fetch it "
            "again: brainleaks data fetch cifar10."
        )


def _records(source: Path, name: str, content: bytes | None) -> NDArray[np.uint8]:
    """One file's records, ``(10,000, 3073)``."""
    if content is None or len(content) != RECORDS * _RECORD:
        found = "is missing" if content is None else f"has {len(content):,} bytes"
        raise InputError(
            f"{source}: {name} {found}; expected {RECORDS:,} records of {_RECORD:,} bytes. Fetch "
            f"it again from {URL}."
        )
    records = np.frombuffer(bytearray(content), np.uint8).reshape(RECORDS, _RECORD)
    if records[:, 0].max() >= len(CLASS_NAMES):
        raise InputError(
            f"{source}: {name} holds label {records[:, 0].max()}; expected 0 to 9. Fetch it again "
            f"from {URL}."
        )
    return records
