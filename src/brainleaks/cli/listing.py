"""The command that lists what there is."""

from typing import Any

import click

from brainleaks.cli.options import JSON
from brainleaks.cli.printing import echo, print_json

#: The networks that an attack is for, by its ``spiking``.
_KINDS = {True: "spiking", False: "ordinary", None: "either"}


@click.command("list")
@JSON
def list_command(as_json: bool) -> None:
    """Show the presets, data sets and attacks."""
    from brainleaks.attacks import ATTACKS, WithinPrior
    from brainleaks.campaigns.collection import collection
    from brainleaks.data import DATASETS
    from brainleaks.studies import load_study, preset_names
    from brainleaks.studies.config import COLLECTIONS

    presets = {name: load_study(name).description for name in preset_names()}
    presets |= {name: collection(name).description for name in COLLECTIONS}
    listing: dict[str, dict[str, Any]] = {
        "presets": presets,
        "datasets": {
            name: (source.__doc__ or "").partition("\n")[0] for name, source in DATASETS.items()
        },
        "attacks": {
            name: {
                "access": attack.access,
                "networks": _KINDS[attack.spiking],
                "description": (attack.__doc__ or "").partition("\n")[0],
            }
            for name, attack in ATTACKS.items()
        }
        | {
            "within-prior": {
                "access": None,
                "networks": _KINDS[WithinPrior.spiking],
                "description": (WithinPrior.__doc__ or "").partition("\n")[0],
            }
        },
    }
    if as_json:
        print_json(listing)
        return
    for title in ("presets", "datasets"):
        echo(f"{title}")
        for name, text in listing[title].items():
            echo(f"  {name:<19} {text}")
    echo("attacks (access that each needs, networks that it attacks)")
    for name, facts in listing["attacks"].items():
        access = facts["access"] or "that of its search"
        echo(f"  {name:<19} {access}, {facts['networks']}: {facts['description']}")
