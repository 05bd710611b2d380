"""Reading ``.npy`` and ``.npz`` files: plain arrays, within limits, and never unpickled."""

import io
import zipfile
import zlib
from math import prod
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from brainleaks.data.archives import check_method
from brainleaks.errors import InputError
from brainleaks.limits import ENTRIES, check_unpacked

_ZIP = b"PK"
_PICKLE = b"\x80"
_SUFFIX = ".npy"
_PLAIN = "biufUS"
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    EOFError,
    OSError,
    LookupError,
    RuntimeError,  # an encrypted member
    NotImplementedError,  # a compression that zipfile does not know
    OverflowError,
    MemoryError,
)


def read_arrays(where: str, content: bytes) -> Any:
    """What an ``.npy`` or ``.npz`` file holds: an array, or a dictionary of arrays by name.

    Args:
        where: the file, for errors.
        content: all of it.

    Raises:
        InputError: if it is damaged, would have to be unpickled, or unpacks to more than the
            limits.
    """
    if content.startswith(_PICKLE):
        raise _pickled(where)
    if not content.startswith(_ZIP):
        return _array(where, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            ENTRIES.check(where, len(members))
            check_unpacked(where, len(content), sum(info.file_size for info in members))
            for info in members:
                check_method(where, info)
            packed = {info.filename.removesuffix(_SUFFIX): archive.read(info) for info in members}
    except InputError:
        raise
    except _UNREADABLE as error:
        raise _damaged(where) from error
    return {name: _array(where, member) for name, member in packed.items()}


def _array(where: str, content: bytes) -> NDArray[Any]:
    """The array of one ``.npy`` file, without a copy; its header is believed in nothing."""
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except Exception as error:  # NumPy parses the header as Python, which fails in many ways
        raise _damaged(where) from error
    if dtype.hasobject:
        raise _pickled(where)
    _check_type(where, dtype)
    rest = memoryview(content)[stream.tell() :]
    if min(shape, default=0) < 0 or len(rest) != prod(shape) * dtype.itemsize:
        raise InputError(
            f"{where} is not a complete .npy or .npz file: it declares an array of {dtype} of "
            "shape "
            f"{shape}, and {len(rest):,} bytes follow."
        )
    try:
        return np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")
    except (ValueError, OverflowError) as error:  # no bytes, and sides beyond any
        raise _damaged(where) from error


def _check_type(where: str, dtype: np.dtype[Any]) -> None:
    kinds = [dtype[name] for name in dtype.names] if dtype.names else [dtype]
    if any(kind.kind not in _PLAIN or not kind.itemsize for kind in kinds):
        raise InputError(f"{where} is an array of {dtype}; expected numbers.")


def _damaged(where: str) -> InputError:
    return InputError(f"{where} is not a complete .npy or .npz file of numbers.")


def _pickled(where: str) -> InputError:
    return InputError(
        f"{where} contains Python objects. Unpickling can run arbitrary code, so they are "
        "refused; save plain arrays of numbers."
    )
