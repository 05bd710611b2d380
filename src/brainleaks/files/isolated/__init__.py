"""Readers that rest on C libraries, in a child process that may crash, hang or grow.

HDF5, the AEDAT 4 decoder and most image codecs abort, spin or take gigabytes on some damaged files,
and no signal reaches Python while they run. They are called in one child process, which is started
when it is first needed, answers one request after the other, and is stopped when it takes too long
or too much memory. Between the two goes plain data (:mod:`brainleaks.files.isolated.wire`): even a
child that a file has taken over can hand its parent numbers and text, and nothing else.
"""

import atexit
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from brainleaks.errors import InputError
from brainleaks.files.isolated import wire
from brainleaks.limits import READ_MEMORY, READ_SECONDS, limits_given

__all__ = ["call", "calls"]

_CHILD = Path(__file__).with_name("child.py")
#: Files in one request, and characters of their names: the requests in flight must fit into a pipe,
#: or the child would wait for its parent and its parent for the child.
_FILES, _CHARACTERS = 32, 16_000
#: Requests in flight: the child reads the next files while its parent uses the last ones.
_AHEAD = 2
#: The child's exit status when its time is over: by SIGALRM, or by its watchdog.
_TIMED_OUT = (-getattr(signal, "SIGALRM", 0), 1)


def call(reader: str, path: Path) -> Any:
    """Read one file; see :func:`calls`."""
    (found,) = calls(reader, [path])
    return found


def calls(reader: str, paths: Iterable[Path]) -> Iterator[Any]:
    """Read files one after the other, in the child process.

    Args:
        reader: a name of ``READERS`` in :mod:`brainleaks.files.isolated.child`.
        paths: of the files.

    Yields:
        What the reader returns for each file, in order.

    Raises:
        InputError: naming the file that the reader refuses, that ends its process, or that takes
            longer or more memory than the limits.
    """
    with _lock:
        child = _running()
        waiting: deque[Path] = deque()  # for their answers, in order
        sent: deque[int] = deque()  # how many of them came in each request
        requests = _requests(paths)
        try:
            while True:
                while len(sent) < _AHEAD and (request := next(requests, None)):
                    child.send(reader, request)
                    sent.append(len(request))
                    waiting.extend(request)
                if not sent:
                    return
                for _ in range(sent.popleft()):
                    yield child.answer()
                    waiting.popleft()
        except _EndedError:
            if len(waiting) == 1:
                raise InputError(child.why_it_ended(waiting[0])) from None
            _stop()  # it is not known by which of the files; each is now read by itself
            while waiting:
                yield _alone(reader, waiting.popleft())
            yield from calls(reader, (path for request in requests for path in request))
        finally:
            if waiting:  # answers that nobody waits for any more are still to come
                _stop()


def _requests(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """As many files together as go into one request."""
    request: list[Path] = []
    characters = 0
    for path in paths:
        length = len(str(path.absolute()))
        if request and (len(request) == _FILES or characters + length > _CHARACTERS):
            yield request
            request, characters = [], 0
        request.append(path)
        characters += length
    if request:
        yield request


def _alone(reader: str, path: Path) -> Any:
    child = _running()
    child.send(reader, [path])
    try:
        return child.answer()
    except _EndedError:
        raise InputError(child.why_it_ended(path)) from None


class _EndedError(Exception):
    """The child has ended, or says what no child says."""


class _Child:
    """One process that reads files."""

    def __init__(self) -> None:
        self.limits = limits_given()
        limits = (READ_SECONDS.value, READ_MEMORY.value)
        command = [sys.executable, "-I", str(_CHILD), *map(str, limits)]
        self._process = subprocess.Popen(  # noqa: S603 (our own file, and two numbers)
            command,
            bufsize=wire.BUFFER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, reader: str, paths: list[Path]) -> None:
        try:
            wire.write(self._process.stdin, [reader, *(str(path.absolute()) for path in paths)])
            self._process.stdin.flush()  # type: ignore[union-attr]
        except OSError:  # it has ended; its last answer, or the lack of one, says why
            return

    def answer(self) -> Any:
        try:
            kind, value = wire.read(self._process.stdout)
        except Exception as error:  # cut off, or whatever a child says that a file has taken over
            raise _EndedError from error
        if kind == "error":
            raise InputError(str(value))
        return value

    def why_it_ended(self, path: Path) -> str:
        self._process.kill()
        status = self._process.wait()
        if status in _TIMED_OUT:
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
