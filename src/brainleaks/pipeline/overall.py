"""One line of progress for a whole run: which stage of how many, and the time left."""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tqdm import tqdm

_LINE = "{bar:14} {desc}"


class Overall:
    """Shows where a run is: its stage, of how many, and how far that one has come.

    On a terminal it is one line, which is gone when the run is over. In a log, stages say the same
    themselves (:class:`brainleaks.pipeline.progress.Recorder`).

    Args:
        expected: the number of stages by the first part of their names.
    """

    def __init__(self, expected: Counter[str]) -> None:
        self._expected = Counter(expected)
        self._done: Counter[str] = Counter()
        self._took: defaultdict[str, list[float]] = defaultdict(list)
        self._seen: set[str] = set()
        self._stage, self._began, self._share, self._again = "", 0.0, 0.0, False
        self._total = max(1, self._expected.total())

    def __enter__(self) -> Self:
        self._bar = tqdm(
            total=self._total, bar_format=_LINE, leave=False, disable=None, file=sys.stderr,
            dynamic_ncols=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    @contextmanager
    def stage(self, name: str, key: str) -> Iterator[None]:
        """A stage begins here and ends here; one that was here before counts once."""
        kind = name.partition(":")[0]
        self._stage, self._share, self._began = name, 0.0, time.perf_counter()
        self._again = key in self._seen
        self.show()
        try:
            yield
        finally:
            if key not in self._seen:
                self._seen.add(key)
                self._done[kind] += 1
            self._stage, self._share, self._again = "", 0.0, False

    def made(self) -> None:
        """The stage was made, not found: it tells how long others of its kind take."""
        self._took[self._stage.partition(":")[0]].append(time.perf_counter() - self._began)

    def advance(self, done: int, total: int, headline: str = "") -> None:
        """So many steps of the stage are done."""
        self._share = done / max(1, total)
        self.show(f" {done}/{total}{', ' if headline else ''}{headline}")

    def show(self, how_far: str = "") -> None:
        """Draw the line again."""
        if not self._bar.disable:
            self._bar.n = min(self._done.total() + self._share, self._total)
            said = f"{self.where}: {self._stage or 'train'}{how_far}"
            self._bar.set_description_str(said, refresh=False)
            self._bar.refresh()

    @property
    def where(self) -> str:
        """As ``stage 7 of 43, 2:10 left``; the time only once it can be estimated."""
        number = max(1, self._done.total() + (not self._again))
        total = max(self._total, number)
        left = self.seconds_left
        time_left = "" if left is None else f", {tqdm.format_interval(left)} left"
        return f"stage {number} of {total}{time_left}"

    @property
    def seconds_left(self) -> float | None:
        """By how long stages of each kind have taken; ``None`` before there were some."""
        every = [seconds for each in self._took.values() for seconds in each]
        if not every:
            return None
        usual = sum(every) / len(every)
        total = 0.0
        for kind, count in self._expected.items():
            each = self._took.get(kind)
            mean = sum(each) / len(each) if each else usual
            total += max(0, count - self._done[kind]) * mean
        return max(0.0, total - self._spent())

    def _spent(self) -> float:
        return time.perf_counter() - self._began if self._stage else 0.0
