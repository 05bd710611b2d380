"""DVS128 Gesture: ten hand and arm gestures recorded by an event camera, 128 x 128.

Amir et al., "A low power, fully event-based gesture recognition system", CVPR 2017 (CC BY 4.0).
Read from IBM's release (``DvsGesture.tar.gz``, packed or not: AEDAT 3.1 recordings, cut into
samples by the times in their label tables, and parted by its lists of trials), or from the folders
that Tonic uses (``ibmGestureTrain/<user>/<label>.npy``). The eleventh class, "other gestures", is
dropped (PROTOCOL, Data). The two forms differ: by SpikingJelly's count IBM's tables cut 1,176 and
288 samples, Tonic's folders hold 1,077 and 264. The accuracies that the paper's release prints, 188
and 211 of 240, fit Tonic's 264 without the eleventh class.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from brainleaks.data.archives import archives_in, contents, identity_of
from brainleaks.data.events import Events, Recording, checked, read_aedat3
from brainleaks.data.numpy_files import read_arrays
from brainleaks.errors import InputError

SENSOR = (128, 128)
SIZE = None  # IBM's tables cut more samples than Tonic's folders hold, and neither states how many
CLASS_NAMES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
)

_PAGE = "https://research.ibm.com/interactive/dvsgesture/"
_LARGEST_TEXT, _LARGEST_RECORDING = 1 << 20, 1 << 30
_TONIC = {"ibmGestureTrain": "train", "ibmGestureTest": "test"}
_TONIC_MEMBER = re.compile(r"^(ibmGestureTrain|ibmGestureTest)/([^/]+)/(\d+)\.npy$")
_LISTS = {"trials_to_train.txt": "train", "trials_to_test.txt": "test"}
_LABELS = "_labels.csv"
_LABEL_FIELDS = ["class", "startTime_usec", "endTime_usec"]


def present(folder: Path) -> bool:
    """Whether either form lies below a data folder."""
    return bool(_sources(folder))


def fetch(folder: Path) -> None:
    """Nothing can be downloaded without the publisher's form being filled in.

    Raises:
        InputError: unless the data is there, saying where to get it.
    """
    if not present(folder):
        raise InputError(
            f"DVS128 Gesture is not in {folder}. Download DvsGesture.tar.gz from IBM at {_PAGE} "
            f"and put it into {folder / 'dvsgesture'}."
        )


def identity(folder: Path) -> str:
    """What changes when the recordings do."""
    return identity_of(_sources(folder))


def recordings(folder: Path) -> Iterator[Recording]:
    """Read the samples below ``folder``.

    Raises:
        InputError: naming a recording or a label table that is malformed or missing.
    """
    fetch(folder)
    sources = _sources(folder)
    if sources[0].name in _TONIC:
        for source in sources:
            yield from _of_tonic(source)
    else:
        yield from _of_release(sources[0])


def _sources(folder: Path) -> list[Path]:
    for base in (folder / "dvsgesture", folder / "DVSGesture", folder):
        if (base / "ibmGestureTrain").is_dir():
            return [base / name for name in _TONIC if (base / name).is_dir()]
        if (base / "DvsGesture").is_dir():
            return [base / "DvsGesture"]
        if archives := [path for path in archives_in(base) if path.name.startswith("DvsGesture.")]:
            return archives
    return []


def _of_release(source: Path) -> Iterator[Recording]:
    parts, tables = _read_texts(source)
    missing = set(parts)
    for name, content in contents(source, ".aedat", largest=_LARGEST_RECORDING):
        trial = name.rpartition("/")[2].removesuffix(".aedat")
        if trial in parts:
            missing.discard(trial)
            yield from _samples(source, trial, parts[trial], tables, content)
    if missing:
        raise InputError(
            f"{source}: {len(missing)} recordings named by its trial lists are missing, first "
            f"{min(missing)}.aedat. Get the whole release from {_PAGE}."
        )


def _samples(
    source: Path, trial: str, part: Any, tables: dict[str, str], content: bytes
) -> Iterator[Recording]:
    """Cut one recording by its label table."""
    where = f"{source}: {trial}.aedat"
    if trial not in tables:
        raise InputError(f"{where} has no label table; expected {trial}{_LABELS} beside it.")
    events = read_aedat3(where, content, SENSOR)
    for row, (gesture, start, stop) in enumerate(_labels(f"{where}, {_LABELS}", tables[trial])):
        if gesture < len(CLASS_NAMES):
            name = f"{trial}/{row:02d}"
            sample = checked(f"{source}: {name}", events.between(start, stop), SENSOR)
            yield Recording(part, name, gesture, sample)


def _read_texts(source: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The part of each trial, and the label tables by trial."""
    texts = {
        name.rpartition("/")[2]: content.decode("utf-8", "replace")
        for name, content in contents(source, (".csv", ".txt"), largest=_LARGEST_TEXT)
    }
    parts: dict[str, str] = {}
    for name, part in _LISTS.items():
        if name not in texts:
            raise InputError(f"{source}: {name} is missing; expected IBM's list of trials.")
        trials = (line.strip().removesuffix(".aedat") for line in texts[name].splitlines())
        parts |= {trial: part for trial in trials if trial}
    tables = {
        name.removesuffix(_LABELS): text for name, text in texts.items() if name.endswith(_LABELS)
    }
    return parts, tables


def _labels(where: str, text: str) -> list[tuple[int, int, int]]:
    """Rows of class (from 0), start and end in microseconds."""
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise InputError(f"{where} is not a table of comma-separated values ({error}).") from error
    if not rows or rows[0] != _LABEL_FIELDS:
        raise InputError(f"{where}: expected a table of {', '.join(_LABEL_FIELDS)}.")
    labels = []
    for row in filter(None, rows[1:]):
        try:
            gesture, start, stop = map(int, row)
        except ValueError as error:
            raise InputError(f"{where}: found {','.join(row)!r}; expected 3 numbers.") from error
        if not (1 <= gesture <= len(CLASS_NAMES) + 1 and start < stop):
            raise InputError(
                f"{where}: found {','.join(row)!r}; expected a class from 1 to 11, and a start "
                "before the end."
            )
        labels.append((gesture - 1, start, stop))
    return labels


def _of_tonic(source: Path) -> Iterator[Recording]:
    for name, content in contents(source, ".npy", largest=_LARGEST_RECORDING):
        match = _TONIC_MEMBER.match(name)
        if match is None:
            raise InputError(f"{source}: {name} is not a sample; expected <user>/<label>.npy.")
        folder, user, label = match.groups()
        if int(label) < len(CLASS_NAMES):
            events = _read_npy(f"{source.parent / name}", content)
            yield Recording(_TONIC[folder], f"{user}/{label}", int(label), events)  # type: ignore[arg-type]


def _read_npy(where: str, content: bytes) -> Events:
    """``(N, 4)``: x, y, polarity, and the time in milliseconds."""
    array = read_arrays(where, content)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise InputError(
            f"{where} is not one array of numbers; expected x, y, polarity, time in ms."
        )
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(
            f"{where} has shape {array.shape}; expected (events, 4): x, y, polarity, time in ms."
        )
    if not np.isfinite(array).all():
        raise InputError(f"{where} holds values that are not finite numbers (NaN or infinity).")
    x, y, p, t = array.T
    if ((x < 0) | (x >= SENSOR[1]) | (y < 0) | (y >= SENSOR[0])).any():
        raise InputError(f"{where} holds events off the sensor of 128 x 128 pixels.")
    # widened first: a product of small integers wraps
    time = (t.astype(np.float64 if t.dtype.kind == "f" else np.int64) * 1000).astype(np.int64)
    events = Events(x.astype(np.uint16), y.astype(np.uint16), time, (p > 0).astype(np.uint8))
    return checked(where, events, SENSOR)
