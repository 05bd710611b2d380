"""What the shell completes: presets, attacks and data sets, read without importing torch."""

import click
from click.shell_completion import CompletionItem

from brainleaks.cli import catalogue


def studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Presets, collections of presets, and files."""
    named = _beginning(catalogue.preset_names(), incomplete)
    return [*named, CompletionItem(incomplete, type="file")]


def attacks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Attacks."""
    return _beginning(sorted(catalogue.attacks()), incomplete)


def data_sets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Data sets."""
    return _beginning(sorted(catalogue.data_sets()), incomplete)


def _beginning(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
