"""Plain data between two processes: arrays, numbers, text, lists and dictionaries."""

import json
import struct
from typing import Any

import numpy as np

_LENGTH = struct.Struct("<QQ")
_KINDS = "biufb"
#: Bytes that go through the pipe together: fewer pieces wake the other side less often.
BUFFER = 1 << 18


def write(stream: Any, value: Any) -> None:
    """Send a value: a header in JSON, then the bytes of its arrays."""
    arrays: list[Any] = []
    tree = json.dumps(_packed(value, arrays)).encode()
    stream.write(_LENGTH.pack(len(tree), sum(array.nbytes for array in arrays)))
    stream.write(tree)
    for array in arrays:
        stream.write(memoryview(array).cast("B") if array.size else b"")


def read(stream: Any) -> Any:
    """Receive a value.

    Raises:
        EOFError: if the stream ends before the value does.
        ValueError: if what comes is no such value.
    """
    tree, size = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    header = json.loads(_exactly(stream, tree))
    return _unpacked(header, memoryview(_exactly(stream, size)))


def _exactly(stream: Any, size: int) -> bytearray:
    """Memory grows with what arrives, not with what is announced."""
    content = bytearray()
    while len(content) < size:
        piece = stream.read(min(size - len(content), 1 << 24))
        if not piece:
            raise EOFError
        content += piece
    return content


def _packed(value: Any, arrays: list[Any]) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        start = sum(earlier.nbytes for earlier in arrays)
        arrays.append(array)
        return ["array", array.dtype.str, list(np.shape(value)), start]
    if isinstance(value, dict):
        return ["dict", {name: _packed(item, arrays) for name, item in value.items()}]
    if isinstance(value, list | tuple):
        return ["list", [_packed(item, arrays) for item in value]]
    return ["plain", value]


def _unpacked(packed: Any, content: memoryview) -> Any:
    kind, *rest = packed
    if kind == "array":
        dtype, shape = np.dtype(rest[0]), tuple(rest[1])
        if dtype.kind not in _KINDS:
            raise ValueError(f"an array of {dtype} is not plain data")
        flat = np.frombuffer(content, dtype, int(np.prod(shape)), rest[2])
        return flat.reshape(shape) if shape else flat[0]
    if kind == "dict":
        return {name: _unpacked(item, content) for name, item in rest[0].items()}
    if kind == "list":
        return [_unpacked(item, content) for item in rest[0]]
    return rest[0]
