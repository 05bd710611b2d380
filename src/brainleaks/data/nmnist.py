"""N-MNIST: MNIST recorded by a moving event camera, 34 x 34; 60,000 train and 10,000 test.

Orchard, Jayawant, Cohen and Thakor, "Converting static image datasets to spiking neuromorphic
datasets using saccades", Frontiers in Neuroscience 9, 2015 (CC BY-SA 4.0). Recordings are
``Train|Test/<digit>/<number>.bin``, in a folder, in zips or in a tar; a subset is read as what it
is. Their numbers are those of MNIST's images, from 1.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from brainleaks.data.archives import archives_in, contents, identity_of
from brainleaks.data.events import Recording, read_five_byte
from brainleaks.data.files import download
from brainleaks.errors import InputError

SENSOR = (34, 34)
SIZE = (60_000, 10_000)
CLASS_NAMES = tuple(map(str, range(10)))

_FILES = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files"
_ARCHIVES = {
    "Train.zip": (
        f"{_FILES}/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
        "md5:20959b8e626244a1b502305a9e6e2031",
    ),
    "Test.zip": (
        f"{_FILES}/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
        "md5:69ca8762b2fe404d9b9bad1103e97832",
    ),
}
_MEMBER = re.compile(r"(?:^|/)(Train|Test)/(\d)/(\d+)\.bin$")
_ARCHIVE = re.compile(r"(train|test|n-?mnist\w*)\.", re.IGNORECASE)
_PARTS: dict[str, Literal["train", "test"]] = {"Train": "train", "Test": "test"}
_LARGEST_RECORDING = 1 << 20


def present(folder: Path) -> bool:
    """Whether recordings lie below a data folder, all or some."""
    return bool(_sources(folder))


def fetch(folder: Path) -> None:
    """Download the two archives unless recordings are there; half a download is gone on with.

    Raises:
        InputError: if the publisher cannot be reached or the folder cannot be written.
    """
    published = {folder / "nmnist" / name: source for name, source in _ARCHIVES.items()}
    if set(_sources(folder)) <= published.keys():
        for path, (url, checksum) in published.items():
            if not path.exists():
                download(url, path, checksum)


def identity(folder: Path) -> str:
    """What changes when the recordings do."""
    return identity_of(_sources(folder))


def recordings(
    folder: Path, wanted: Callable[[str, int], bool] = lambda part, number: True
) -> Iterator[Recording]:
    """Read the recordings below ``folder``; download them first where there are none.

    Args:
        folder: the data folder.
        wanted: of a part, ``"train"`` or ``"test"``, and a number, whether to decode it.

    Raises:
        InputError: naming a recording that is malformed, or an archive that is damaged.
    """
    fetch(folder)
    for source in _sources(folder):
        for name, content in contents(source, ".bin", largest=_LARGEST_RECORDING):
            match = _MEMBER.search(name)
            if match is None:
                raise InputError(
                    f"{source}: {name} is not a recording of N-MNIST; expected "
                    "Train/<digit>/<number>.bin or Test/<digit>/<number>.bin."
                )
            part, digit, number = _PARTS[match[1]], int(match[2]), match[3]
            if wanted(part, int(number)):
                events = read_five_byte(f"{source}: {name}", content, SENSOR)
                yield Recording(part, number, digit, events)


def _sources(folder: Path) -> list[Path]:
    """The folders or the archives that hold the recordings."""
    for base in (folder / "nmnist", folder / "NMNIST", folder):
        if folders := [base / name for name in _PARTS if (base / name).is_dir()]:
            return folders
        if archives := [path for path in archives_in(base) if _ARCHIVE.match(path.name)]:
            return archives
    return []
