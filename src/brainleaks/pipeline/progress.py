"""Progress of a stage that is being made, and the checkpoint that it goes on from."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import safetensors.torch
import torch
from tqdm import tqdm

from brainleaks.files import atomic
from brainleaks.monitor import Monitor, State
from brainleaks.pipeline import sealed
from brainleaks.pipeline.overall import Overall
from brainleaks.target import Target

_SHARE_OF_TIME_SAVING = 0.05
#: In a log, what takes less than this is not worth a line.
_SECONDS_A_LINE = 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


class Recorder(Monitor):
    """Shows progress, and keeps a checkpoint to go on from.

    On a terminal there is a bar, or the line of the whole run; in a log, a line every half minute.
    Checkpoints are as frequent as a twentieth of the time allows; there are none without a place
    for them.
    """

    def __init__(self, checkpoint: Path | None, label: str, overall: Overall | None = None) -> None:
        self.curve: list[dict[str, float]] = []
        self._checkpoint, self._label, self._overall = checkpoint, label, overall
        self._started = time.perf_counter()
        self._spent_before = 0.0
        self._target: Target | None = None
        self._saved_at, self._saving_took = self._started, 0.0
        self._said_at = self._started

    @property
    def seconds(self) -> float:
        """Time spent on the stage, in all its attempts."""
        return self._spent_before + time.perf_counter() - self._started

    def count_queries(self, target: Target) -> None:
        """Keep the target's number of queries with the checkpoint."""
        self._target = target

    def resume(self, start: State) -> State:
        if self._checkpoint is None or not self._checkpoint.exists():
            return start
        device = next(iter(start.values())).device
        try:
            saved = safetensors.torch.load(sealed.read(self._checkpoint))
        except sealed.DamagedError as error:
            sealed.set_aside(self._checkpoint, f"{error}; {self._label} starts again")
            return start
        record = json.loads(saved.pop("record").numpy().tobytes())
        self.curve, self._spent_before = record["curve"], record["seconds"]
        if self._target is not None:
            self._target.queries += record["queries"]
        return {name: tensor.to(device) for name, tensor in saved.items()}

    def remaining(self, iterations: int) -> Iterator[int]:
        done = len(self.curve)
        hidden = None if self._overall is None else True
        bar = tqdm(
            total=iterations, initial=done, desc=self._label, disable=hidden, file=sys.stderr
        )
        with bar as self._bar:
            self._total, self._done_before = iterations, done
            yield from range(done, iterations)

    def advance(self, iteration: int, state: State, **headline: float) -> None:
        self.curve.append(headline)
        self._bar.update()
        shown = {name: f"{value:.3g}" for name, value in headline.items()}
        self._bar.set_postfix(shown)
        if self._overall is not None:
            words = ", ".join(f"{name}={value}" for name, value in shown.items())
            self._overall.advance(len(self.curve), self._total, words)
        now = time.perf_counter()
        if self._in_log and now - self._said_at >= _SECONDS_A_LINE:
            self._say(", ".join(f"{name}={value}" for name, value in shown.items()))
            self._said_at = now
        if now - self._saved_at >= self._saving_took / _SHARE_OF_TIME_SAVING:
            self._save(state)
            self._saved_at = time.perf_counter()
            self._saving_took = self._saved_at - now

    @property
    def _in_log(self) -> bool:
        return not sys.stderr.isatty()

    def _say(self, headline: str) -> None:
        """One line of progress, for a log."""
        line = tqdm.format_meter(
            n=len(self.curve),
            total=self._total,
            elapsed=time.perf_counter() - self._started,
            initial=self._done_before,
            prefix=f"{self._overall.where}: {self._label}" if self._overall else self._label,
            postfix=headline,
            bar_format=_LINE,
        )
        print(line, file=sys.stderr, flush=True)

    def forget(self) -> None:
        """Remove the checkpoint: the stage is finished."""
        if self._checkpoint is not None:
            self._checkpoint.unlink(missing_ok=True)

    def _save(self, state: State) -> None:
        if self._checkpoint is None:
            return
        queries = self._target.queries if self._target is not None else 0
        record = {"curve": self.curve, "seconds": self.seconds, "queries": queries}
        packed = torch.frombuffer(bytearray(json.dumps(record).encode()), dtype=torch.uint8)
        sealed.write(self._checkpoint, atomic.packed({**state, "record": packed}))
