"""The command line: arguments in, text or JSON out.

A command imports what it needs when it is called, and so waits for no other's.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from brainleaks import InputError, __version__, keep_freed_memory
from brainleaks.cli import audit, beginning, cache, calibrate, data, listing, run, runs
from brainleaks.cli.options import NO_VERDICT
from brainleaks.errors import ServiceError, first_line, in_terminal, printable

__all__ = ["main"]

_USERS_MISTAKE = 2
#: What click raises where a group of commands is called alone; before click 8.2 it exits.
_CALLED_ALONE: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


def main() -> None:
    """Run the command that was typed, and exit.

    The exit status is

    * 0 if the command is done, or help was shown,
    * 1 if ``--fail-on`` asks for it, or ``cache verify`` found damage,
    * 2 after a user's mistake, which is one sentence on stderr,
    * 3 if there is no verdict because the model failed while it was attacked, or because
      ``--fail-on`` was given and nothing was judged,
    * 128 and the signal's number after Ctrl-C (130), SIGTERM (143) or SIGHUP (129).
    """
    if "_BRAINLEAKS_COMPLETE" in os.environ:
        cli()  # prints what the shell asks for, and exits
    keep_freed_memory()
    with in_terminal(), _interruptible() as received:
        try:
            status = cli(standalone_mode=False)
        except ServiceError as error:
            _fail(str(error), NO_VERDICT)
        except InputError as error:
            _fail(str(error))
        except click.exceptions.Abort:
            number = received[-1] if received else signal.SIGINT
            _fail(
                f"interrupted by {signal.Signals(number).name}. Finished stages and the last "
                "checkpoint are kept; run the same command again to resume.",
                128 + number,
            )
        except _CALLED_ALONE as error:
            click.echo(error.ctx.get_help())
            sys.exit(0)
        except click.ClickException as error:
            hint = " See 'brainleaks --help'." if isinstance(error, click.UsageError) else ""
            _fail(error.format_message() + hint)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _fail(f"{place}{error.strerror or first_line(error)}.")
        except MemoryError:
            _fail("there is not enough memory; use fewer or smaller samples.")
        except SystemExit as error:  # of a model's own code; no command of ours exits so
            _fail(f"the model's code ends the process, with {error.code!r}.", NO_VERDICT)
        else:
            sys.exit(status or 0)


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Treat SIGTERM and SIGHUP as Ctrl-C; the numbers of those that came."""
    received: list[int] = []

    def stop(number: int, frame: Any) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt

    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            before[number] = signal.signal(number, stop)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.group(
    commands=[
        listing.list_command,
        run.run,
        audit.audit,
        beginning.beginning,
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
    """Measure what a trained (spiking) neural network reveals about its training data."""


def _fail(message: str, status: int = _USERS_MISTAKE) -> NoReturn:
    click.echo(f"brainleaks: {printable(message)}", err=True)
    sys.exit(status)
