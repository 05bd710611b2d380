"""A run's ``results.json`` and ``provenance.json``, checked against their schema."""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from brainleaks.errors import InputError, printable
from brainleaks.files import atomic
from brainleaks.limits import CHANNELS, CLASSES, IMAGE_PIXELS, RESULTS_BYTES
from brainleaks.runs.digests import is_sealed, verify
from brainleaks.runs.schema import Provenance, Results


def read_results(folder: Path, *, derived: bool = True) -> dict[str, Any]:
    """The numbers of a run folder whose files are as the run left them.

    Args:
        folder: the run folder.
        derived: whether its report, too, has to be as it was left.

    Returns:
        The content of ``results.json``, its keys in the order of the schema.

    A folder without digests is read with a warning on stderr.

    Raises:
        InputError: if ``folder`` is not a finished run, was changed since, or holds a value that
            no run has.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise InputError(
            f"{folder} is not a finished run: it has no results.json. Name the folder that "
            "'brainleaks run' printed."
        )
    verify(folder, derived=derived)
    results = _parse(Results, path, atomic.read_text(path, RESULTS_BYTES))
    data = results["dataset"]
    CLASSES.check(path, data["classes"])
    CHANNELS.check(path, data["input_shape"][0])
    IMAGE_PIXELS.check(path, data["input_shape"][1] * data["input_shape"][2])
    if not is_sealed(folder):
        _warn(folder)
    return results


@cache
def _warn(folder: Path) -> None:
    """Say on stderr, once, that a run cannot be verified."""
    said = f"brainleaks: {folder} has no digests.json, as of an older version: not verified."
    print(printable(said), file=sys.stderr, flush=True)


def read_provenance(folder: Path) -> dict[str, Any]:
    """The content of a run folder's ``provenance.json``.

    Raises:
        InputError: if it is not there, or not a run's.
    """
    path = folder / "provenance.json"
    return _parse(Provenance, path, atomic.read_text(path, RESULTS_BYTES))


def in_order(results: dict[str, Any]) -> dict[str, Any]:
    """A run's numbers in the schema's order, before they are written.

    Raises:
        InputError: if they are none that may be read again.
    """
    return _parse(Results, Path("results.json"), json.dumps(results))


def _parse(schema: type[BaseModel], where: Path, text: str) -> dict[str, Any]:
    """JSON text of a schema as plain dictionaries in the schema's order.

    Raises:
        InputError: naming the first value that does not fit.
    """
    try:
        return schema.model_validate_json(text).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the content"
        raise InputError(
            f"{where} does not have the format that a run writes: {field}: {first['msg']}; run "
            "the study again."
        ) from error


def headline(results: dict[str, Any]) -> str:
    """A run in a line: its study and seed, and the first sentence of what the study is."""
    about, end, _ = results["description"].partition(". ")
    return f"{results['preset']}, seed {results['seed']}. {about}{end.rstrip()}".rstrip()
