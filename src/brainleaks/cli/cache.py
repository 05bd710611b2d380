"""The commands on the cache of finished stages."""

import re
from datetime import datetime
from pathlib import Path

import click

from brainleaks import InputError
from brainleaks.cli.options import JSON, PATH
from brainleaks.cli.printing import echo, print_json

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)
_POWERS = "KMGT"
STORE = click.option(
    "--store",
    "folder",
    type=PATH,
    help="Folder of the cache (default: BRAINLEAKS_STORE, else the user's cache folder).",
)


@click.group()
def cache() -> None:
    """List, verify and prune the cache of finished stages."""


@cache.command("ls")
@STORE
@JSON
def list_entries(folder: Path | None, as_json: bool) -> None:
    """List cached stages with their size and when each was last used, the latest at the end."""
    from brainleaks.pipeline.inventory import entries

    found = entries(_root(folder))
    total = sum(entry.size for entry in found)
    if as_json:
        rows = [{"name": e.base.name, "bytes": e.size, "last_used": _when(e.used)} for e in found]
        print_json({"entries": rows, "bytes": total})
        return
    for entry in found:
        echo(f"{_when(entry.used)}  {_shown(entry.size):>9}  {entry.base.name}")
    echo(f"{len(found)} stages, {_shown(total)}, in {_root(folder)}")


@cache.command("verify")
@STORE
def verify_entries(folder: Path | None) -> int:
    """Read every cached stage and set damaged ones aside.

    They are computed again when they are needed. The exit status is 1 if any was damaged.
    """
    from brainleaks.pipeline.inventory import verify

    found = list(verify(_root(folder), set_aside=True))
    damaged = sum(not whole for _, whole in found)
    echo(f"{len(found)} stages, {damaged} damaged, in {_root(folder)}")
    return int(damaged > 0)


@cache.command("prune")
@STORE
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="Remove stages not used for this many days.",
)
@click.option(
    "--max-size",
    metavar="SIZE",
    help="Remove the least recently used stages until the rest fits, for example 20GB.",
)
def prune_entries(folder: Path | None, days: float | None, max_size: str | None) -> None:
    """Remove old stages, files left by killed processes, and stages that were set aside."""
    from brainleaks.pipeline.inventory import prune

    removed = prune(_root(folder), older_than_days=days, most_bytes=_bytes(max_size))
    for path in removed:
        echo(f"removed {path}")
    echo(f"{len(removed)} files and folders removed from {_root(folder)}")


def _root(folder: Path | None) -> Path:
    from brainleaks.pipeline.cache import Cache

    if folder is not None and not folder.is_dir():
        raise InputError(f"--store: no such folder: {folder}.")
    return Cache(folder).root


def _bytes(size: str | None) -> int | None:
    if size is None:
        return None
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise InputError(f"--max-size: found {size!r}; expected a size such as 500MB or 20GB.")
    power = _POWERS.index(found[2].upper()) + 1 if found[2] else 0
    return int(float(found[1]) * 1000**power)


def _shown(size: int) -> str:
    amount, unit = float(size), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"


def _when(used: float) -> str:
    return datetime.fromtimestamp(used).isoformat(" ", "minutes")
