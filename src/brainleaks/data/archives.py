"""Reading the files of a data set from a folder, a zip or a tar, packed or not."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from brainleaks.errors import InputError

_Suffix = str | tuple[str, ...]
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    tarfile.TarError,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # an encrypted zip
    NotImplementedError,  # a way of packing that zipfile does not know
)
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz")


def contents(source: Path, suffix: _Suffix, *, largest: int) -> Iterator[tuple[str, bytes]]:
    """Every file in ``source`` whose name ends so, as its path and what it holds.

    Paths begin with a folder's own name. Nothing is unpacked on disk, hidden files are passed
    over. A folder's and a zip's files come in the order of their names, a tar's in its own.

    Args:
        source: a folder, or an archive with one of the endings of ``ARCHIVES``.
        suffix: such as ``".bin"``, or several.
        largest: bytes that a file may have.

    Raises:
        InputError: if the archive is damaged, or a file is larger.
    """
    try:
        if source.is_dir():
            yield from _of_folder(source, suffix, largest)
        elif source.suffix.lower() == ".zip":
            yield from _of_zip(source, suffix, largest)
        else:
            yield from _of_tar(source, suffix, largest)
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{source}: damaged, incomplete or encrypted archive ({reason}). Fetch it again."
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}.") from error


def archives_in(folder: Path) -> list[Path]:
    """The archives that lie in a folder, by name; none where there is no such folder."""
    return sorted(path for path in folder.glob("*") if path.name.lower().endswith(ARCHIVES))


def identity_of(sources: list[Path]) -> str:
    """What changes when the files do: sizes and times of modification; contents are not read."""
    files = [
        path for source in sources for path in (_walk(source, "") if source.is_dir() else [source])
    ]
    facts = [(str(path.resolve()), path.stat()) for path in files]
    return repr([(path, fact.st_size, fact.st_mtime_ns) for path, fact in facts])


def _walk(folder: Path, suffix: _Suffix) -> Iterator[Path]:
    for base, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(base) / name for name in sorted(files) if _wanted(name, suffix))


def _of_folder(folder: Path, suffix: _Suffix, largest: int) -> Iterator[tuple[str, bytes]]:
    for path in _walk(folder, suffix):
        name = path.relative_to(folder.parent).as_posix()
        _check(folder, name, path.stat().st_size, largest)
        yield name, path.read_bytes()


def _of_zip(archive: Path, suffix: _Suffix, largest: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for info in sorted(opened.infolist(), key=lambda info: info.filename):
            if _wanted(info.filename, suffix):
                _check(archive, info.filename, info.file_size, largest)
                yield info.filename, opened.read(info)


class _Member(tarfile.TarInfo):
    """A tar's member, which does not take a damaged header for the archive's end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Member":
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"it breaks off before its end: {error}") from error


def _of_tar(archive: Path, suffix: _Suffix, largest: int) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive, tarinfo=_Member) as opened:
        for info in opened:
            if (info.isfile() or info.islnk()) and _wanted(info.name, suffix):
                _check(archive, info.name, info.size, largest)
                file = opened.extractfile(info)
                yield info.name, file.read() if file else b""


def _wanted(name: str, suffix: _Suffix) -> bool:
    return name.endswith(suffix) and not name.rpartition("/")[2].startswith(".")


def _check(source: Path, name: str, size: int, largest: int) -> None:
    if size > largest:
        raise InputError(
            f"{source}: {name} has {size} bytes; expected at most {largest}. Fetch it again."
        )
