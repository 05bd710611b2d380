"""Several networks at once: a process for each core, each with one thread."""

import contextlib
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cloudpickle
import joblib
import torch
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm import tqdm

from brainleaks.data import Dataset
from brainleaks.pipeline.cache import Cache, MissingError
from brainleaks.pipeline.overall import Overall
from brainleaks.pipeline.pipeline import Trained

#: Processes hold the data and a copy of torch each.
_MOST_PROCESSES = 8
#: What is raised where something cannot be sent to another process, or that process dies.
_NOT_SENT = (pickle.PicklingError, TypeError, AttributeError, ImportError, BrokenProcessPool)


class Job(NamedTuple):
    """A network to train: its name, and on what."""

    name: str
    dataset: Dataset


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch computes with one thread, so that the bytes do not depend on the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def train_several(
    train: Callable[[str, Dataset], Trained], jobs: Sequence[Job], cache: Cache, *, device: str
) -> list[Trained]:
    """Train networks, as many at once as torch may use threads; or load them.

    Every network is trained with one thread, so that the result is the same wherever and in
    whatever order it is trained. On a GPU, and where the network cannot be sent to another process,
    one is trained after the other.

    Args:
        train: trains a network and keeps it in the cache.
        jobs: the networks.
        cache: where they are kept.
        device: ``"cpu"`` or ``"cuda"``.
    """
    if device == "cpu" and (processes := min(_MOST_PROCESSES, torch.get_num_threads())) > 1:
        with one_thread(), cache.only_read():
            missing = [job for job in jobs if not _is_kept(train, job)]
        if len(missing) > 1:
            with contextlib.suppress(*_NOT_SENT):  # what failed there is said when it fails here
                _train_in_processes(train, missing, processes, cache.overall)
    threads = one_thread() if device == "cpu" else contextlib.nullcontext()
    with threads:
        return [train(job.name, job.dataset) for job in jobs]


def _is_kept(train: Callable[[str, Dataset], Trained], job: Job) -> bool:
    try:
        train(job.name, job.dataset)
    except MissingError:
        return False
    return True


def _train_in_processes(
    train: Callable[[str, Dataset], Trained],
    jobs: list[Job],
    processes: int,
    overall: Overall | None,
) -> None:
    """Fill the cache."""
    run = joblib.Parallel(
        n_jobs=min(processes, len(jobs)),
        backend="loky",
        inner_max_num_threads=1,
        return_as="generator_unordered",
    )
    # a network's class may be of a module in the current folder, which the factory imported
    path = [*sys.path, str(Path.cwd())]
    packed = (cloudpickle.dumps((train, job)) for job in jobs)
    finished = run(joblib.delayed(_work)(one, path, os.getpid()) for one in packed)
    hidden = None if overall is None else True
    for done, _ in enumerate(
        tqdm(finished, "networks", len(jobs), disable=hidden, file=sys.stderr), 1
    ):
        if overall is not None:
            overall.advance(done, len(jobs), "networks at once")


def _work(packed: bytes, path: list[str], parent: int) -> None:
    """In another process: train one network, which stays in the cache."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(1)
    sys.path[:] = path
    train, job = pickle.loads(packed)  # noqa: S301 (what the parent packed)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        train(job.name, job.dataset)


def _end_with(parent: int) -> None:
    """A worker whose parent was killed must not go on."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
