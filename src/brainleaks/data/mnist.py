"""MNIST: 70,000 handwritten digits, 28 x 28 grey; 60,000 train and 10,000 test.

LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998 (CC BY-SA 3.0). The
four IDX files are read gzipped or not, from ``mnist/``, ``MNIST/raw/`` or the data folder itself.
Mirrors repack the archives, so the checksum is that of the decoded content.
"""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.files import download
from brainleaks.errors import InputError

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
)
SIDE = 28
SIZE = (60_000, 10_000)

#: The four files, with the shape and the SHA-256 of what they decode to.
FILES = {
    "train-images-idx3-ubyte": (
        (60_000, SIDE, SIDE),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        (10_000, SIDE, SIDE),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


def present(folder: Path) -> bool:
    """Whether all four files lie below a data folder."""
    return all(_find(folder, name) for name in FILES)


def fetch(folder: Path) -> None:
    """Download the files that are not there, from the first mirror that has them.

    Raises:
        InputError: if no mirror can be reached, or the folder cannot be written.
    """
    for name in FILES:
        if not _find(folder, name):
            _download(folder / "mnist" / f"{name}.gz")


def load(folder: Path) -> Dataset:
    """Read the four files below ``folder``; download those that are absent.

    Raises:
        InputError: if a file is damaged, or not the published one.
    """
    fetch(folder)
    arrays = [_read(_find(folder, name) or folder / name, name) for name in FILES]
    train, test = _samples(*arrays[:2]), _samples(*arrays[2:])
    return Dataset("mnist", train, test, class_names=tuple(map(str, range(10))))


def _samples(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Samples:
    images = torch.from_numpy(pixels).float().div_(255).unsqueeze(1)
    return Samples(images, torch.from_numpy(labels).long())


def _find(folder: Path, name: str) -> Path | None:
    """The file, gzipped or not; torchvision's folder is looked into as well."""
    for base in (folder / "mnist", folder / "MNIST" / "raw", folder):
        for path in (base / f"{name}.gz", base / name):
            if path.is_file():
                return path
    return None


def _download(destination: Path) -> None:
    for mirror in MIRRORS:
        try:
            download(f"{mirror}/{destination.name}", destination)
        except InputError:
            if mirror == MIRRORS[-1]:
                raise
        else:
            return


def _read(path: Path, name: str) -> NDArray[np.uint8]:
    shape, checksum = FILES[name]
    header = _header(shape)
    expected = len(header) + int(np.prod(shape))
    content = _decode(path, expected)
    if not content.startswith(header) or len(content) != expected:
        raise InputError(
            f"{path} holds {len(content)} bytes that begin with {content[:4].hex() or 'nothing'}; "
            f"expected the {expected} of MNIST's {name}. {_REMEDY}"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != checksum:
        raise InputError(
            f"{path} decodes to checksum {found[:16]}..., not to the published "
            f"{checksum[:16]}...; it was altered. {_REMEDY}"
        )
    return np.frombuffer(bytearray(content[len(header) :]), np.uint8).reshape(shape)


_REMEDY = "Delete it and fetch it again: brainleaks data fetch mnist."


def _header(shape: tuple[int, ...]) -> bytes:
    """IDX: two zeros, 8 for unsigned bytes, the number of axes, and the length of each."""
    return bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()


def _decode(path: Path, expected: int) -> bytes:
    """The file's content, unzipped; at most one byte more than expected."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(expected + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path} is a damaged gzip archive ({error}). {_REMEDY}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
