"""The commands on data sets."""

import difflib
from pathlib import Path
from typing import Any

import click

from brainleaks import InputError
from brainleaks.cli import completion
from brainleaks.cli.options import DATA_DIR
from brainleaks.cli.printing import echo


@click.group()
def data() -> None:
    """Download and verify data sets."""


@data.command()
@click.argument("name", shell_complete=completion.data_sets)
@DATA_DIR
def fetch(name: str, data_dir: Path | None) -> None:
    """Download the data set NAME from its publisher, unless present, and verify it."""
    from brainleaks.data.describe import describe
    from brainleaks.data.files import data_folder

    source, folder = _source(name), data_folder(data_dir)
    source.fetch(folder)
    echo(describe(name, folder))


@data.command()
@click.argument("name", shell_complete=completion.data_sets)
@DATA_DIR
def check(name: str, data_dir: Path | None) -> None:
    """Read and verify the data set NAME, which must be present."""
    from brainleaks.data.describe import describe
    from brainleaks.data.files import data_folder

    source, folder = _source(name), data_folder(data_dir)
    if not source.present(folder):
        raise InputError(
            f"{name} is not in {folder}; 'brainleaks data fetch {name}' downloads it or says "
            "where to get it."
        )
    echo(describe(name, folder))


def _source(name: str) -> Any:
    from brainleaks.data import DATASETS

    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, 1, 0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(
            f"no data set called {name!r}.{hint} The data sets are {', '.join(DATASETS)}."
        )
    return DATASETS[name]
