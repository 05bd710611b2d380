"""The command line: arguments in, text or JSON out.

A command imports what it needs when it is called, and so waits for no other's.
"""

import sys

import click

from brainleaks import InputError, __version__, exact_on_gpu, keep_freed_memory
from brainleaks.cli import audit, cache, calibrate, data, listing, run, runs

__all__ = ["main"]


def main() -> None:
    """Run the command that was typed, and exit.

    The status is 0 when it is done, 1 where ``--fail-on`` asks for it, 2 after a user's mistake,
    which is one sentence on stderr, and 130 after an interruption.
    """
    keep_freed_memory()
    exact_on_gpu()
    try:
        status = cli(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except click.exceptions.Abort:
        click.echo("brainleaks: interrupted; the same command goes on from here.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        hint = " See 'brainleaks --help'." if isinstance(error, click.UsageError) else ""
        _fail(error.format_message() + hint)
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}.")
    else:
        sys.exit(status or 0)


@click.group(
    commands=[
        listing.list_command,
        run.run,
        audit.audit,
        runs.evaluate,
        runs.export,
        runs.compare,
        runs.report,
        calibrate.calibrate,
        cache.cache,
        data.data,
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
def cli() -> None:
    """Reconstruct what a neural network was trained on, and judge how much it leaks."""


def _fail(message: str) -> None:
    click.echo(f"brainleaks: {message}", err=True)
    sys.exit(2)
