"""A folder with one sub-folder a class: which files are whose, nothing being read yet."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from brainleaks.data.event_files import EVENT_FILES, FOREIGN
from brainleaks.data.holdout import held_out
from brainleaks.data.image_files import IMAGE_FILES
from brainleaks.data.sound_files import SOUND_FILES
from brainleaks.errors import InputError, option

Part = Literal["train", "test"]
Kind = Literal["images", "events", "sound"]
#: How files of each kind end, and what messages call them.
_KINDS: dict[Kind, tuple[str, tuple[str, ...]]] = {
    "images": ("images", IMAGE_FILES),
    "events": ("event recordings", EVENT_FILES),
    "sound": ("sound", SOUND_FILES),
}
PARTS: tuple[Part, ...] = ("train", "test")
#: What file managers and archivers leave behind.
_LITTER = ("thumbs.db", "desktop.ini", "__macosx")


class File(NamedTuple):
    """One sample's file."""

    part: Part
    label: int
    path: Path


class Listing(NamedTuple):
    """Every sample's file, by part and class and name, and the names of the classes."""

    files: list[File]
    class_names: tuple[str, ...]
    kind: Kind


def list_classes(root: Path, holdout: float | None, classes: Sequence[str] | None) -> Listing:
    """Every sample below ``root``.

    Args:
        root: has ``train`` and ``test`` with a folder for each class in either, or such folders
            itself.
        holdout: share of each class to hold out where there is no ``test``.
        classes: their names in the order of their labels; by default that of the alphabet, as in
            torchvision's ``ImageFolder``.

    Raises:
        InputError: if there is no held-out part, a class is empty, is in ``test`` alone or has too
            few samples to be divided, a file is of an unknown kind or of another than the rest, or
            a link leads out of ``root``.
    """
    folders = _parts(root, holdout)
    found = {part: _classes(root, folder) for part, folder in folders.items()}
    names = _named(root, list(found["train"]), classes)
    for name in found.get("test", {}):
        if name not in found["train"]:
            raise InputError(
                f"{root}: the class {name} is only in test; the model cannot leak a class that it "
                "was not trained on. Move it, or add its training samples."
            )
    files = [
        File(part, names.index(name), path)
        for part, by_class in found.items()
        for name in sorted(by_class, key=names.index)
        for path in by_class[name]
    ]
    kind = _kind(root, [file.path for file in files])
    if holdout is not None:
        files = _divided(root, files, names, holdout)
    return Listing(files, names, kind)


def _parts(root: Path, holdout: float | None) -> dict[Part, Path]:
    """The folder of each part; one alone if samples are to be held out of it."""
    folders: dict[Part, Path] = {p: root / p for p in PARTS if (root / p).is_dir()}
    if len(folders) == len(PARTS):
        if holdout is not None:
            raise InputError(
                f"{option('holdout')}: {root} has a test folder already; leave this out."
            )
        return folders
    if folders:
        have = next(iter(folders))
        missing = "test" if have == "train" else "train"
        raise InputError(f"{root} has a {have} folder and no {missing} folder; both are needed.")
    if holdout is None:
        raise InputError(
            f"{root} has no train and test folders: provide both, each with one sub-folder per "
            f"class, or hold out a fraction of the samples with {option('holdout', 0.2)}."
        )
    return {"train": root}


def _classes(root: Path, folder: Path) -> dict[str, list[Path]]:
    """The files of each class, by name."""
    _refuse_link(root, folder)
    classes = [p for p in sorted(folder.iterdir()) if p.is_dir() and not _hidden(p)]
    if not classes:
        raise InputError(
            f"{folder} has no sub-folders; expected one per class, holding its samples."
        )
    for path in classes:
        _refuse_link(root, path)
    found = {path.name: list(_samples(root, path)) for path in classes}
    if not any(found.values()):
        raise InputError(
            f"{folder}: no class has any images, event recordings or sound; expected files such "
            f"as {' '.join((*IMAGE_FILES[:3], *EVENT_FILES[:3], *SOUND_FILES))}."
        )
    for name, files in found.items():
        if not files:
            raise InputError(
                f"{folder / name} is empty: the class {name} has no samples; add some or remove "
                "the folder."
            )
    return found


def _samples(root: Path, folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(_hidden(part) for part in _below(path, folder)):
            if _kind_of(path) is None:
                if what := FOREIGN.get(path.suffix.lower()):
                    raise InputError(f"{path} is {what}.")
                expected = [f"{name} ({' '.join(ends)})" for name, ends in _KINDS.values()]
                raise InputError(
                    f"{path} has an unknown file type; expected {', '.join(expected[:-1])} or "
                    f"{expected[-1]}."
                )
            _refuse_link(root, path)
            yield path


def _refuse_link(root: Path, path: Path) -> None:
    """Refuse a link that leads out of the data: what it leads to was not handed over."""
    if path != root and path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"{path} is a link that leads out of {root}, to {path.resolve()}, and is not followed; "
            "copy what it leads to, or remove the link."
        )


def _below(path: Path, folder: Path) -> list[Path]:
    return [Path(part) for part in path.relative_to(folder).parts]


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _LITTER


def _named(root: Path, found: list[str], given: Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return tuple(found)
    if sorted(given) != sorted(found):
        odd = sorted(set(given) ^ set(found)) or [n for n, k in Counter(given).items() if k > 1]
        raise InputError(
            f"{option('classes')}: names {len(given)} classes but {root} has {len(found)}; "
            f"{odd[0]} is missing from one of the lists, or repeated. Name every class folder once."
        )
    return tuple(given)


def _kind_of(path: Path) -> Kind | None:
    return next((k for k, (_, ends) in _KINDS.items() if path.suffix.lower() in ends), None)


def _kind(root: Path, paths: list[Path]) -> Kind:
    found: dict[Kind, Path] = {}
    for path in paths:
        if (kind := _kind_of(path)) is not None:
            found.setdefault(kind, path)
    if len(found) > 1:
        first, second = [kind for kind in _KINDS if kind in found][:2]
        raise InputError(
            f"{root} has both {_KINDS[first][0]} ({found[first].name}) and {_KINDS[second][0]} "
            f"({found[second].name}); provide only one kind."
        )
    return next(iter(found))


def _divided(root: Path, files: list[File], names: tuple[str, ...], holdout: float) -> list[File]:
    """The same files, a share of each class moved to the held-out part."""
    chosen = held_out(str(root), [file.label for file in files], names, holdout)
    divided = [f._replace(part="test") if i in chosen else f for i, f in enumerate(files)]
    return sorted(divided, key=lambda file: PARTS.index(file.part))
