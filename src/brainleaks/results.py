"""A run's ``results.json``, for those who read it."""

from pathlib import Path
from typing import Any

from brainleaks import atomic
from brainleaks.errors import InputError

_FIELDS = {"preset", "seed", "dataset", "target", "evaluators", "attacks", "printed"}
_DATASET_FIELDS = {"name", "classes", "class_names", "input_shape"}


def read_results(folder: Path) -> dict[str, Any]:
    """The content of a run folder's ``results.json``.

    Raises:
        InputError: if ``folder`` is not a finished run.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise InputError(
            f"{folder} is not a finished run: it has no results.json. Name the folder that "
            "'brainleaks run' printed."
        )
    results: dict[str, Any] = atomic.read_json(path)
    is_whole = isinstance(results, dict) and results.keys() >= _FIELDS
    if not (is_whole and isinstance(results["dataset"], dict)) or not _DATASET_FIELDS.issubset(
        results["dataset"]
    ):
        raise InputError(f"{path} is not the results of a run; run the study again.")
    return results


def headline(results: dict[str, Any]) -> str:
    """A run in a line: its study and seed, and the first sentence of what the study is."""
    about, end, _ = results["description"].partition(". ")
    return f"{results['preset']}, seed {results['seed']}. {about}{end.rstrip()}".rstrip()
