"""The AT&T (ORL) Database of Faces: 40 people, 10 images each, 92 x 112 grey.

Samaria and Harter, "Parameterisation of a stochastic model for human face identification", WACV
1994. Free to use with credit to AT&T Laboratories Cambridge. Each person's first eight images
train and the last two test, in the order of a name-sorted listing (PROTOCOL, Data).
"""

import hashlib
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from brainleaks.data.archives import contents
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.files import download
from brainleaks.errors import InputError

URL = "https://www.cl.cam.ac.uk/Research/DTG/attarchive/pub/data/att_faces.zip"
ARCHIVE = "att_faces.zip"
PEOPLE, IMAGES, TRAIN = 40, 10, 8
WIDTH, HEIGHT = 92, 112
SIZE = (320, 80)

#: SHA-256 of the 400 decoded images, people and images in name-sorted order.
CHECKSUM = "991457d29a3de5d697ec1ce8f21fd9c8f831157d58dda3ae9463926f8654c52f"

_MEMBER = re.compile(r"(?:^|/)(s\d+)/(\d+)\.pgm$")
_LARGEST_IMAGE = 1 << 20


def present(folder: Path) -> bool:
    """Whether the archive or the unpacked folder lies below a data folder."""
    return _find(folder) is not None


def fetch(folder: Path) -> None:
    """Download the archive into ``folder`` unless the database is there.

    Raises:
        InputError: if the publisher cannot be reached or the folder cannot be written.
    """
    if not present(folder):
        archive = folder / "att_faces" / ARCHIVE
        download(URL, archive)
        if not zipfile.is_zipfile(archive):
            archive.unlink()
            raise InputError(f"{URL} sent something that is not a zip archive; try again later.")


def load(folder: Path) -> Dataset:
    """Read the archive or the unpacked folder below ``folder``; download it where absent.

    Raises:
        InputError: if an image is missing, of another size or not a PGM, if the archive is
            damaged, or if the decoded images are not the published ones.
    """
    fetch(folder)
    source = _find(folder) or folder
    pixels, people = _read(source)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    if digest != CHECKSUM:
        raise InputError(
            f"{source}: the images decode to checksum {digest[:16]}..., not to the published "
            f"{CHECKSUM[:16]}...; some image was altered. Fetch the database again from {URL}."
        )
    images = torch.from_numpy(pixels).float().div(255).unsqueeze(2)
    labels = torch.arange(PEOPLE).unsqueeze(1).expand(PEOPLE, IMAGES)
    return Dataset(
        name="att-faces",
        train=Samples(images[:, :TRAIN].flatten(0, 1), labels[:, :TRAIN].flatten()),
        test=Samples(images[:, TRAIN:].flatten(0, 1), labels[:, TRAIN:].flatten()),
        class_names=people,
    )


def _find(folder: Path) -> Path | None:
    """The archive, or the folder of ``s1`` to ``s40``."""
    for base in (folder / "att_faces", folder):
        if (base / ARCHIVE).is_file():
            return base / ARCHIVE
        if (base / "s1").is_dir():
            return base
    return None


def _read(source: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """All images, ``(40, 10, 112, 92)`` bytes, and the people, both in name-sorted order."""
    found = {
        match.groups(): content
        for name, content in contents(source, ".pgm", largest=_LARGEST_IMAGE)
        if (match := _MEMBER.search(name))
    }
    people = tuple(sorted(f"s{n}" for n in range(1, PEOPLE + 1)))
    names = sorted(str(n) for n in range(1, IMAGES + 1))
    wanted = [(person, name) for person in people for name in names]
    missing = [f"{person}/{name}.pgm" for person, name in wanted if (person, name) not in found]
    if missing:
        raise InputError(
            f"{source}: {len(missing)} of {len(wanted)} images missing, first {missing[0]}; "
            f"expected s1 to s{PEOPLE} with 1.pgm to {IMAGES}.pgm each. Fetch it again from {URL}."
        )
    pixels = [_decode_pgm(f"{source}: {p}/{n}.pgm", found[p, n]) for p, n in wanted]
    return np.stack(pixels).reshape(PEOPLE, IMAGES, HEIGHT, WIDTH), people


def _decode_pgm(where: str, content: bytes) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(content), formats=["PPM"]) as image:
            if image.mode == "L" and image.size == (WIDTH, HEIGHT):
                return np.asarray(image)
            found = f"a {image.size[0]} x {image.size[1]} image of mode {image.mode}"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{where} is not a readable PGM image ({error}).") from error
    raise InputError(f"{where} is {found}; expected {WIDTH} x {HEIGHT} grey.")
