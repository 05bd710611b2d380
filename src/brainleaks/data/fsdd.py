"""The Free Spoken Digit Dataset: six people, each saying every digit fifty times, as spikes.

Jackson et al., https://github.com/Jakobovski/free-spoken-digit-dataset, version 1.0.10,
CC BY-SA 4.0; 8 kHz, mono. By its authors' division recordings 0 to 4 of a speaker and a digit test,
5 to 49 train. Spikes are those of :data:`COCHLEA`: 80 steps of 10 ms of 40 mel bands, as images
``(1, T, N)`` for the ``stream`` encoding. The label is the digit; of
:mod:`brainleaks.data.fsdd_speakers`, the speaker.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from brainleaks.data.archives import archives_in, contents
from brainleaks.data.cochlea import Cochlea
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.files import download
from brainleaks.data.sound_files import decode_sound
from brainleaks.errors import InputError

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz"
ARCHIVE = "fsdd.tar.gz"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
DIGITS, TAKES, TEST = 10, 50, 5
RATE = 8_000
COCHLEA = Cochlea(sample_rate=RATE)
SIZE = (2_700, 300)

#: SHA-256 of the samples of the 3,000 recordings, by digit, speaker and number.
CHECKSUM = "801bcecb25fa3bfb54fb3c0b1d94732d8456ce5b0c1f036667852a341a3aacd4"

_MEMBER = re.compile(r"(?:^|/)(\d)_([a-z]+)_(\d+)\.wav$")
_LARGEST = 1 << 20


class Recordings(NamedTuple):
    """Every recording by digit, speaker and number: ``spikes`` ``(N, 1, T, channels)``."""

    spikes: torch.Tensor
    digits: torch.Tensor
    speakers: torch.Tensor
    takes: torch.Tensor


def present(folder: Path) -> bool:
    """Whether the archive or the recordings lie below a data folder."""
    return _find(folder) is not None


def fetch(folder: Path) -> None:
    """Download the archive into ``folder`` unless it is there.

    Raises:
        InputError: if the publisher cannot be reached or the folder cannot be written.
    """
    if not present(folder):
        download(URL, folder / "fsdd" / ARCHIVE)


def load(folder: Path) -> Dataset:
    """Read the recordings below ``folder``, downloading them where absent; digits are the labels.

    Raises:
        InputError: if a recording is missing, malformed, or not the published one.
    """
    found = recordings(folder)
    return divided("fsdd", found, found.digits, tuple(map(str, range(DIGITS))))


def divided(
    name: str, found: Recordings, labels: torch.Tensor, class_names: tuple[str, ...]
) -> Dataset:
    """The authors' division, with some labels."""
    tests = found.takes < TEST
    train, test = (
        Samples(found.spikes[part], labels[part], found.speakers[part]) for part in (~tests, tests)
    )
    return Dataset(name, train, test, class_names, streamed=True, sound=COCHLEA)


def recordings(folder: Path) -> Recordings:
    """Every recording as spikes; see :func:`load`."""
    fetch(folder)
    source = _find(folder) or folder
    sounds = _read(source)
    digest = hashlib.sha256()
    for sound in sounds.values():
        digest.update(sound.astype("<i2").tobytes())
    if digest.hexdigest() != CHECKSUM:
        raise InputError(
            f"{source}: the recordings have checksum {digest.hexdigest()[:16]}..., expected the "
            f"published {CHECKSUM[:16]}...; some recording was altered. Fetch it again from {URL}."
        )
    spikes = np.stack([COCHLEA.spikes(sound) for sound in sounds.values()])
    digits, speakers, takes = torch.tensor(list(sounds)).T
    return Recordings(torch.from_numpy(spikes).float().unsqueeze(1), digits, speakers, takes)


def _find(folder: Path) -> Path | None:
    """The archive, or the folder with the recordings."""
    base = folder / "fsdd"
    if (base / "recordings").is_dir():
        return base / "recordings"
    return next(iter(archives_in(base)), None)


def _read(source: Path) -> dict[tuple[int, int, int], NDArray[np.float32]]:
    """The samples of every recording by digit, speaker and number, in order."""
    found = {}
    for path, content in contents(source, ".wav", largest=_LARGEST):
        match = _MEMBER.search(path)
        if match and match[2] in SPEAKERS and int(match[3]) < TAKES:
            which = int(match[1]), SPEAKERS.index(match[2]), int(match[3])
            found[which] = decode_sound(f"{source}: {path}", content, RATE).samples
    expected = DIGITS * len(SPEAKERS) * TAKES
    if len(found) != expected:
        raise InputError(
            f"{source} holds {len(found):,} of the {expected:,} recordings; fetch it again from "
            f"{URL}."
        )
    return dict(sorted(found.items()))
