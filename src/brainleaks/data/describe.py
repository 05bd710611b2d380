"""What a data folder holds, in a sentence."""

from pathlib import Path

from brainleaks.data import EVENTS, IMAGES


def describe(name: str, folder: Path) -> str:
    """Read a whole data set and say how much it is.

    Args:
        name: of the data set.
        folder: the data folder.

    Raises:
        InputError: if it is damaged, naming the file or the recording.
    """
    return _recordings(name, folder) if name in EVENTS else _images(name, folder)


def _images(name: str, folder: Path) -> str:
    dataset = IMAGES[name].load(folder)
    train, test = len(dataset.train.labels), len(dataset.test.labels)
    size = " x ".join(map(str, dataset.input_shape))
    return (
        f"{name}: {len(dataset.class_names)} classes, {train:,} training and {test:,} test images "
        f"of {size}; fingerprint {dataset.fingerprint}"
    )


def _recordings(name: str, folder: Path) -> str:
    source = EVENTS[name]
    counts, events = {"train": 0, "test": 0}, 0
    for recording in source.recordings(folder):
        counts[recording.part] += 1
        events += len(recording.events.t)
    whole = ""
    if source.SIZE not in (None, (counts["train"], counts["test"])):
        whole = " (of {:,} and {:,})".format(*source.SIZE or ())
    size = " x ".join(map(str, source.SENSOR))
    verdict = "all well-formed" if events else "none were found"
    return (
        f"{name}: {len(source.CLASS_NAMES)} classes, {counts['train']:,} training and "
        f"{counts['test']:,} test recordings{whole} of {size}; {events:,} events, {verdict}"
    )
