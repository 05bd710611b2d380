"""Failures as results: what fails is recorded, and the rest of the run stands."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from tqdm import tqdm

from brainleaks.errors import AccessError, InputError, first_line, printable

Part = Literal[
    "evaluator", "measurement", "attack", "judgement", "judge", "evaluation", "control", "evidence"
]

_Result = TypeVar("_Result")


class Failures:
    """What failed in a run, as JSON: ``part``, ``name`` and ``why``, a sentence."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.first: Exception | None = None

    def attempt(self, part: Part, name: str, call: Callable[[], _Result]) -> _Result | None:
        """The result of a part of the run, or ``None`` if it fails, which is recorded.

        Raises:
            AccessError: an attack that the study does not grant what it needs is a user's mistake.
        """
        try:
            return call()
        except AccessError:
            raise
        except Exception as error:  # whatever it is, hours of other work are not lost to it
            self.first = self.first or error
            entry = {"part": part, "name": name, "why": _sentence(error)}
            self.entries.append(entry)
            said = f"brainleaks: {part} {name} failed: {entry['why']} The rest goes on."
            tqdm.write(printable(said), file=sys.stderr)
            return None


def _sentence(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}, line {frame.lineno}"
    return f"{type(error).__name__} in {where}: {first_line(error)}."
