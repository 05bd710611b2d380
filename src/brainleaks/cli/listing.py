"""The command that lists what there is."""

from typing import Any

import click

from brainleaks.cli import catalogue
from brainleaks.cli.options import JSON
from brainleaks.cli.printing import echo, print_json


@click.command("list")
@JSON
def list_command(as_json: bool) -> None:
    """List the presets, data sets, attacks and defences."""
    listing: dict[str, dict[str, Any]] = {
        "presets": catalogue.presets(),
        "datasets": catalogue.data_sets(),
        "attacks": catalogue.attacks(),
        "defences": catalogue.defences(),
    }
    if as_json:
        print_json(listing)
        return
    width = max(len(name) for names in listing.values() for name in names)
    for title in ("presets", "datasets"):
        echo(title)
        for name, text in listing[title].items():
            echo(f"  {name:<{width}} {text}")
    echo("attacks (required access, kind of network)")
    for name, facts in listing["attacks"].items():
        access = facts["access"] or "that of its search"
        echo(f"  {name:<{width}} {access}, {facts['networks']}: {facts['description']}")
    echo("defences (what they act on)")
    for name, facts in listing["defences"].items():
        echo(f"  {name:<{width}} {facts['acts']}: {facts['description']}")
