"""Options that several commands share, and what their values mean."""

import shlex
import sys
from pathlib import Path

import click

from brainleaks import InputError

MOST_SEEDS = 2**31
#: The exit status where there is no verdict.
NO_VERDICT = 3
PATH = click.Path(path_type=Path)


def _at_hand(ctx: click.Context, param: click.Parameter, name: str) -> str:
    """The device, whichever ``auto`` turns out to be, and set up to compute exactly."""
    from brainleaks._gpu import device_at_hand

    return device_at_hand(name)


JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
)
DEVICE = click.option(
    "--device",
    metavar="auto|cpu|cuda|cuda:N",
    callback=_at_hand,
    default="auto",
    show_default=True,
    help="Device to compute on: the CPU, the GPU or, of several, GPU N. auto is a GPU where "
    "there is one.",
)
DATA_DIR = click.option(
    "--data-dir",
    type=PATH,
    help="Folder of the data sets (default: BRAINLEAKS_DATA, else the user's cache folder).",
)
SEED = click.option(
    "--seed",
    type=click.IntRange(0, MOST_SEEDS - 1),
    default=0,
    show_default=True,
    help="Seed of all random numbers.",
)

TRUST = click.option(
    "--trust",
    is_flag=True,
    help="Import the functions that the study file names (factory, recipe, data). They "
    "run with your "
    "rights.",
)


def command_line() -> str:
    """The command as it was typed, for the record of a run."""
    return shlex.join(["brainleaks", *sys.argv[1:]])


def keep_out_of(place: Path, option: str, given: Path | None) -> None:
    """Refuse what lies in the run folder, which is replaced.

    Args:
        place: the run folder.
        option: what named the file, for errors.
        given: the file or folder, if any was given.

    Raises:
        InputError: if it lies there.
    """
    if given is not None and place.resolve() in (given.resolve(), *given.resolve().parents):
        raise InputError(
            f"{option}: {given} is inside {place}, which this run replaces; choose another --out."
        )
