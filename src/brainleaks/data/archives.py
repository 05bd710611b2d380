"""Reading the files of a data set from a folder, a zip or a tar, packed or not."""

import gzip
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from brainleaks.errors import InputError
from brainleaks.limits import ENTRIES, check_unpacked

_Suffix = str | tuple[str, ...]
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    tarfile.TarError,
    lzma.LZMAError,
    EOFError,
    LookupError,  # a link to a member that is not there
    MemoryError,
    OverflowError,
    RuntimeError,  # an encrypted zip
    NotImplementedError,  # a way of packing that zipfile does not know
    ValueError,  # a name that is no text, a number that is none
)
#: Bytes of what describes one member of a tar, such as its long name.
_DESCRIPTION_BYTES = 1 << 20
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
    except InputError:
        raise
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
        members = opened.infolist()
        ENTRIES.check(archive, len(members))
        unpacked = sum(info.file_size for info in members)
        check_unpacked(archive, archive.stat().st_size, unpacked)
        for info in sorted(members, key=lambda info: info.filename):
            if _wanted(info.filename, suffix):
                check_method(archive, info)
                _check(archive, info.filename, info.file_size, largest)
                yield info.filename, opened.read(info)


def check_method(archive: object, info: zipfile.ZipInfo) -> None:
    """Refuse a zip's member that is packed by other methods than data sets are.

    Args:
        archive: for the message.
        info: of the member.

    Raises:
        InputError: if it is: LZMA's and bzip2's headers ask for memory of any size.
    """
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(
            f"{archive}: {info.filename} uses compression method {info.compress_type}; only "
            "deflate and no compression are supported. Compress it again."
        )


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


class _Metered:
    """An unpacked tar that refuses to be read further than its size on disk allows."""

    def __init__(self, archive: Path, opened: BinaryIO, largest: int) -> None:
        self._archive, self._opened, self._largest = archive, opened, largest
        self._packed = archive.stat().st_size

    def read(self, size: int = -1) -> bytes:
        self._check_size(size)
        self._check_place(self._opened.tell() + size)
        return self._opened.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        self._check_place(place)
        return self._opened.seek(place, whence)

    def tell(self) -> int:
        return self._opened.tell()

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= self._largest:
            raise tarfile.ReadError(f"it announces {size:,} bytes in one piece")

    def _check_place(self, place: int) -> None:
        check_unpacked(self._archive, self._packed, place)


@contextmanager
def _unpacked(archive: Path) -> Iterator[BinaryIO]:
    """What an archive holds once it is unpacked, by how its content begins."""
    with archive.open("rb") as packed:
        start = packed.read(6)
        packed.seek(0)
        opened: Any = packed
        if start.startswith(b"\x1f\x8b"):
            opened = gzip.GzipFile(fileobj=packed)
        elif start == b"\xfd7zXZ\x00":
            opened = lzma.LZMAFile(packed)  # noqa: SIM115 (it closes nothing that we opened)
        yield opened


def _of_tar(archive: Path, suffix: _Suffix, largest: int) -> Iterator[tuple[str, bytes]]:
    with _unpacked(archive) as unpacked:
        metered = _Metered(archive, unpacked, max(largest, _DESCRIPTION_BYTES))
        file = cast(Any, metered)
        with tarfile.open(fileobj=file, mode="r:", tarinfo=_Member) as opened:
            for number, info in enumerate(opened):
                ENTRIES.check(archive, number + 1)
                if (info.isfile() or info.islnk()) and _wanted(info.name, suffix):
                    _check(archive, info.name, info.size, largest)
                    member = opened.extractfile(info)
                    yield info.name, member.read() if member else b""


def _wanted(name: str, suffix: _Suffix) -> bool:
    return name.endswith(suffix) and not name.rpartition("/")[2].startswith(".")


def _check(source: Path, name: str, size: int, largest: int) -> None:
    if size > largest:
        raise InputError(
            f"{source}: {name} has {size} bytes; expected at most {largest}. Fetch it again."
        )
