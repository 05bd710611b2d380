"""Ten clips of DVS128 Gesture, cut into slices: an exercise of the pipeline on real events.

One recording of each of the ten gestures, 1.45 s long, in N-MNIST's format (``dvsgesture/*.bs2``,
with ``labels_inferred.csv``). A slice of 250 ms begins every 50 ms; those in a clip's first second
train, those in the rest test. Both come from one person's single movement: what is measured on them
says nothing about gestures.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from brainleaks.data.archives import contents, identity_of
from brainleaks.data.dvsgesture import CLASS_NAMES, SENSOR
from brainleaks.data.events import Recording, checked, read_five_byte
from brainleaks.errors import InputError

SIZE = (160, 50)
SLICE_US, STRIDE_US = 250_000, 50_000
TRAIN_US, CLIP_US = 1_000_000, 1_450_000

_TABLE = "labels_inferred.csv"
_LARGEST_CLIP = 1 << 24


def present(folder: Path) -> bool:
    """Whether the clips lie below a data folder."""
    return _source(folder) is not None


def fetch(folder: Path) -> None:
    """Nothing can be downloaded.

    Raises:
        InputError: unless the clips are there.
    """
    if not present(folder):
        raise InputError(
            f"the clips of DVS128 Gesture are not in {folder} and cannot be downloaded; expected "
            f"{folder / 'dvsgesture' / _TABLE} and the .bs2 files that it names."
        )


def identity(folder: Path) -> str:
    """What changes when the clips do."""
    source = _source(folder)
    return identity_of([source] if source else [])


def recordings(folder: Path) -> Iterator[Recording]:
    """Read the clips below ``folder`` and cut them into slices.

    Raises:
        InputError: naming a clip that is malformed or missing.
    """
    fetch(folder)
    source = _source(folder) or folder
    labels = _labels(source)
    files = contents(source, ".bs2", largest=_LARGEST_CLIP)
    clips = {name.rpartition("/")[2]: content for name, content in files}
    for clip, label in labels.items():
        content = clips.get(clip)
        if content is None:
            raise InputError(f"{source / clip}, which {_TABLE} names, is missing.")
        events = read_five_byte(str(source / clip), content, SENSOR)
        for part, start in _slices():
            name = f"{clip} at {start // 1000:04d} ms"
            events_of_slice = events.between(start, start + SLICE_US)
            sample = checked(f"{source / name}", events_of_slice, SENSOR)
            yield Recording(part, name, label, sample)


def _slices() -> Iterator[tuple[Literal["train", "test"], int]]:
    for start in range(0, TRAIN_US - SLICE_US + 1, STRIDE_US):
        yield "train", start
    for start in range(TRAIN_US, CLIP_US - SLICE_US + 1, STRIDE_US):
        yield "test", start


def _source(folder: Path) -> Path | None:
    for base in (folder / "dvsgesture", folder):
        if (base / _TABLE).is_file():
            return base
    return None


def _labels(source: Path) -> dict[str, int]:
    """The class of each clip, from the table."""
    text = (source / _TABLE).read_text(encoding="utf-8", errors="replace")
    try:
        labels = {r["file"]: int(r["class_index0"]) for r in csv.DictReader(io.StringIO(text))}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{source / _TABLE}: expected a table with the columns file and class_index0."
        ) from error
    if sorted(labels.values()) != list(range(len(CLASS_NAMES))):
        raise InputError(f"{source / _TABLE}: expected one clip of each of the ten gestures.")
    return labels


__all__ = ["CLASS_NAMES", "SENSOR", "SIZE", "fetch", "identity", "present", "recordings"]
