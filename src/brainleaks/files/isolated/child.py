"""The child process: reads files by libraries that may not survive it."""

import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run by its path, with none of the parent's settings
    sys.path.insert(0, str(Path(__file__).parents[3]))
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

from brainleaks.errors import InputError, first_line
from brainleaks.files.isolated import aedat4, events, hdf5, images, streams, wire

READERS: dict[str, Callable[[Path], Any]] = {
    "aedat4": aedat4.read,
    "events": events.read,
    "image": images.read,
    "nir": hdf5.read_nir,
    "streams": streams.read,
}
#: What a large file may take longer than a small one.
_BYTES_A_SECOND = 20 << 20


def serve(seconds: int, memory: int) -> None:
    """Answer requests from standard input until it ends."""
    requests, answers = sys.stdin.buffer, _own_output()
    base = _limited_memory()
    while True:
        try:
            reader, *names = wire.read(requests)
        except EOFError:
            return
        files = [(Path(name), _size(name)) for name in names]
        _limit_memory(base + memory + 4 * max(size for _, size in files))
        for path, size in files:
            _end_after(seconds + size / _BYTES_A_SECOND)
            answer = _answer(READERS[reader], path, memory)
            _end_after(0)
            wire.write(answers, answer)
        answers.flush()


def _size(name: str) -> int:
    try:
        return os.stat(name).st_size  # noqa: PTH116 (ten times as fast)
    except OSError:  # which its reader will say
        return 0


def _end_after(seconds: float) -> None:
    """End this process after some time, whatever C code it is in by then; 0 calls that off."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)  # SIGALRM, which nothing here handles
    elif seconds:
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()


def _answer(read: Callable[[Path], Any], path: Path, memory: int) -> list[Any]:
    try:
        return ["value", read(path)]
    except InputError as error:
        return ["error", str(error)]
    except MemoryError:
        return [
            "error",
            f"reading {path} takes more than {memory >> 20:,} MB of memory: it is damaged. If it "
            "is only large, set BRAINLEAKS_LIMIT_READ_MEMORY.",
        ]
    except BaseException as error:  # Rust panics past Exception
        return ["error", f"{path} is damaged: {first_line(error)}."]


def _own_output() -> Any:
    """Standard output for the answers alone; what a library prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb", wire.BUFFER)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a descriptor, not a path)
        os.dup2(nowhere.fileno(), 1)
    return answers


def _limited_memory() -> int:
    """Bytes of address space that this process has before it reads anything."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 1 << 30


def _limit_memory(most: int) -> None:
    """Where the operating system can (not on Windows)."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
