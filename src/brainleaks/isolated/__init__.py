"""Readers that rest on C libraries, in a child process that may crash, hang or grow.

HDF5, the AEDAT 4 decoder and most image codecs abort, spin or take gigabytes on some damaged files,
and no signal reaches Python while they run. They are called in one child process, which is started
when it is first needed, answers one request after the other, and is stopped when it takes too long
or too much memory. Between the two goes plain data (:mod:`brainleaks.isolated.wire`): even a child
that a file has taken over can hand its parent numbers and text, and nothing else.
"""

import atexit
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from brainleaks.errors import InputError
from brainleaks.isolated import wire
from brainleaks.limits import READ_MEMORY, READ_SECONDS, limits_given

__all__ = ["call", "calls"]

_CHILD = Path(__file__).with_name("child.py")
#: Requests in flight: the child reads the next file while its parent uses the last one.
_AHEAD = 16
#: The child's exit status when its watchdog stops it.
_TIMED_OUT = 1


def call(reader: str, path: Path) -> Any:
    """Read one file; see :func:`calls`."""
    (found,) = calls(reader, [path])
    return found


def calls(reader: str, paths: Iterable[Path]) -> Iterator[Any]:
    """Read files one after the other, in the child process.

    Args:
        reader: a name of ``READERS`` in :mod:`brainleaks.isolated.child`.
        paths: of the files.

    Yields:
        What the reader returns for each file, in order.

    Raises:
        InputError: naming the file that the reader refuses, that ends its process, or that takes
            longer or more memory than the limits.
    """
    with _lock:
        child = _running()
        waiting: deque[Path] = deque()
        todo = iter(paths)
        try:
            while True:
                while len(waiting) < _AHEAD and (path := next(todo, None)) is not None:
                    child.send(reader, path)
                    waiting.append(path)
                if not waiting:
                    return
                yield child.answer(waiting.popleft())
        finally:
            if waiting:  # answers that nobody waits for any more are still to come
                _stop()


class _Child:
    """One process that reads files."""

    def __init__(self) -> None:
        self.limits = limits_given()
        limits = (READ_SECONDS.value, READ_MEMORY.value)
        command = [sys.executable, "-I", str(_CHILD), *map(str, limits)]
        self._process = subprocess.Popen(  # noqa: S603 (our own file, and two numbers)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, reader: str, path: Path) -> None:
        try:
            wire.write(self._process.stdin, [reader, str(path.absolute())])
        except OSError:  # it has ended; its last answer, or the lack of one, says why
            return

    def answer(self, path: Path) -> Any:
        try:
            kind, value = wire.read(self._process.stdout)
        except Exception:  # cut off, or whatever a child says that a file has taken over
            raise InputError(self._why_it_ended(path)) from None
        if kind == "error":
            raise InputError(str(value))
        return value

    def _why_it_ended(self, path: Path) -> str:
        self._process.kill()
        status = self._process.wait()
        if status == _TIMED_OUT:
            return (
                f"reading {path} takes longer than {READ_SECONDS.value} seconds: it is damaged. If "
                f"it is only large, set {READ_SECONDS.variable}."
            )
        return f"{path} is damaged: the library that reads it crashes (status {status})."

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was still to be sent
                    continue


_lock = threading.RLock()
_child: _Child | None = None


def _running() -> _Child:
    global _child
    if _child is not None and (not _child.alive or _child.limits != limits_given()):
        _stop()
    if _child is None:
        _child = _Child()
    return _child


@atexit.register
def _stop() -> None:
    global _child
    if _child is not None:
        _child.stop()
        _child = None
