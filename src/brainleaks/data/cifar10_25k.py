"""25,000 photographs of CIFAR-10 as JPEG files: 2,000 of each class train and 500 test.

Read from an archive in ``cifar10/`` whose files are ``train/CLASS/NNNN.jpg`` and
``test/CLASS/NNNN.jpg``. They were compressed again, so their pixels are near to those of
:mod:`brainleaks.data.cifar10`, not equal. Samples come in the order of their numbers, class after
class, so that the first of them hold equally many of each class.

Only the known files are decoded: the SHA-256 of all their contents is checked first.
"""

import hashlib
import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brainleaks.data.archives import contents
from brainleaks.data.cifar10 import CLASS_NAMES, SIDE, as_dataset
from brainleaks.data.dataset import Dataset
from brainleaks.errors import InputError

ARCHIVE = "cifar10_jpeg_25k.tar.gz"
PARTS = {"train": 2_000, "test": 500}
SIZE = (20_000, 5_000)

#: SHA-256 of the 25,000 files' bytes, in the order of their paths.
CHECKSUM = "892d04530c97db31d7a44d8685c5f137034586cf7a63535f51abad52663a8597"

_MEMBER = re.compile(rf"(?:^|/)(train|test)/({'|'.join(CLASS_NAMES)})/(\d{{4}})\.jpg$")
_LARGEST = 1 << 16

_Files = dict[tuple[str, int, int], bytes]


def present(folder: Path) -> bool:
    """Whether the archive lies below a data folder."""
    return _find(folder) is not None


def fetch(folder: Path) -> None:
    """Say where the archive must lie, unless it is there; nobody publishes it.

    Raises:
        InputError: if it is absent.
    """
    if not present(folder):
        raise InputError(
            f"cifar10-25k: {folder / 'cifar10' / ARCHIVE} is missing, and it has no publisher to "
            "download it from; put it there, or use the whole data set, cifar10."
        )


def load(folder: Path) -> Dataset:
    """Read the archive below ``folder``.

    Raises:
        InputError: if it is absent or damaged, or its images are not the known ones.
    """
    fetch(folder)
    source = _find(folder) or folder
    files = _read(source)
    train, test = (
        np.stack([_record(source, files, part, c, n) for n in range(count) for c in range(10)])
        for part, count in PARTS.items()
    )
    return as_dataset("cifar10-25k", train, test)


def _find(folder: Path) -> Path | None:
    found = (base / ARCHIVE for base in (folder / "cifar10", folder))
    return next((path for path in found if path.is_file()), None)


def _read(source: Path) -> _Files:
    """Every file by part, class and number."""
    files: _Files = {}
    for path, content in contents(source, ".jpg", largest=_LARGEST):
        if match := _MEMBER.search(path):
            files[match[1], CLASS_NAMES.index(match[2]), int(match[3])] = content
    expected = len(CLASS_NAMES) * sum(PARTS.values())
    if len(files) != expected:
        raise InputError(
            f"{source} holds {len(files):,} images train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg; "
            f"expected {expected:,}."
        )
    digest = hashlib.sha256()
    for _, content in sorted(files.items()):
        digest.update(content)
    if digest.hexdigest() != CHECKSUM:
        raise InputError(
            f"{source}: the images have checksum {digest.hexdigest()[:16]}..., expected "
            f"{CHECKSUM[:16]}...; some image was altered."
        )
    return files


def _record(source: Path, files: _Files, part: str, label: int, number: int) -> NDArray[np.uint8]:
    """A label and the pixels, as the binary version of CIFAR-10 has them."""
    where = f"{source}: {part}/{CLASS_NAMES[label]}/{number:04}.jpg"
    content = files.get((part, label, number))
    if content is None:
        raise InputError(f"{where} is missing.")
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        pixels = np.asarray(image)
    if pixels.shape != (SIDE, SIDE, 3):
        raise InputError(f"{where} has shape {pixels.shape}; expected ({SIDE}, {SIDE}, 3).")
    return np.concatenate([[np.uint8(label)], pixels.transpose(2, 0, 1).ravel()])
