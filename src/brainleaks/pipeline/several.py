"""Several networks at once: a process for each core, each with one thread."""

import contextlib
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
import joblib
import torch
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm import tqdm

from brainleaks.pipeline.cache import Cache, MissingError

T = TypeVar("T")

#: Processes hold the data and a copy of torch each.
_MOST_PROCESSES = 8
#: What is raised where something cannot be sent to another process, or that process dies.
_NOT_SENT = (pickle.PicklingError, TypeError, AttributeError, ImportError, BrokenProcessPool)


#: Trains a network and keeps it in the cache, or loads it.
Job = Callable[[], T]


@contextlib.contextmanager
def one_thread(device: str) -> Iterator[None]:
    """Within it torch computes with one thread, so that the bytes do not depend on the cores.

    Nothing changes on a GPU.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def at_once(device: str) -> int:
    """How many networks are trained at once."""
    return min(_MOST_PROCESSES, torch.get_num_threads()) if device == "cpu" else 1


def train_several(jobs: Sequence[Job[T]], cache: Cache, *, device: str) -> list[T]:
    """Train networks, as many at once as torch may use threads; or load them.

    Every network is trained with one thread, so that the result is the same wherever and in
    whatever order it is trained. On a GPU, and where the network cannot be sent to another process,
    one is trained after the other.

    Args:
        jobs: the networks.
        cache: where they are kept.
        device: ``"cpu"`` or ``"cuda"``.
    """
    _fill(jobs, cache, device)
    with one_thread(device):
        return [job() for job in jobs]


def train_ahead(jobs: Sequence[Job[Any]], cache: Cache, *, device: str) -> None:
    """Train networks that will be needed, as many at once as torch may use threads.

    What fails is not said: it will fail again where it is needed.
    """
    _fill([partial(_quietly, job) for job in jobs], cache, device)


def _fill(jobs: Sequence[Job[Any]], cache: Cache, device: str) -> None:
    """Make what is missing in the cache, if several can be made at once."""
    if (processes := at_once(device)) == 1:
        return
    with one_thread(device), cache.only_read():
        missing = [job for job in jobs if not _is_kept(job)]
    if len(missing) > 1:
        with contextlib.suppress(*_NOT_SENT):  # what failed there is said when it fails here
            _train_in_processes(missing, processes)


def _quietly(job: Job[Any]) -> None:
    try:
        job()
    except MissingError:
        raise
    except Exception:  # noqa: S110 - of a stranger's network; it fails again where it is needed
        pass


def _is_kept(job: Job[Any]) -> bool:
    try:
        job()
    except MissingError:
        return False
    return True


def _train_in_processes(jobs: list[Job[Any]], processes: int) -> None:
    """Fill the cache."""
    run = joblib.Parallel(
        n_jobs=min(processes, len(jobs)),
        backend="loky",
        inner_max_num_threads=1,
        return_as="generator_unordered",
    )
    # a network's class may be of a module in the current folder, which the factory imported
    path = [*sys.path, str(Path.cwd())]
    packed = (cloudpickle.dumps(job) for job in jobs)
    finished = run(joblib.delayed(_work)(one, path, os.getpid()) for one in packed)
    for _ in tqdm(finished, "networks", len(jobs), disable=None, file=sys.stderr):
        pass


def _work(packed: bytes, path: list[str], parent: int) -> None:
    """In another process: train one network, which stays in the cache."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(1)
    sys.path[:] = path
    job = pickle.loads(packed)  # noqa: S301 (what the parent packed)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        job()


def _end_with(parent: int) -> None:
    """A worker whose parent was killed must not go on."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
