"""What a user got wrong, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A mistake in what the user handed over: a file, a field, a folder.

    The message is one clear sentence: where, what was found, what was expected, what to do.
    The command line prints it and exits with status 2. What it quotes of a stranger's file is
    escaped and cut by :func:`printable`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.splitlines())))


class AccessError(InputError):
    """An attack asked a target for more than the target grants."""


class ServiceError(InputError):
    """A model that is asked from elsewhere failed, or answered with what is no answer.

    The command line exits with status 3: there is no verdict.
    """


_LONGEST_MESSAGE = 2_000
#: Arguments that are called otherwise in Python than in the terminal.
_IN_PYTHON = {"attack": "attacks", "set": "settings"}


class _Interface:
    """What the user calls the package by."""

    terminal = False


@contextmanager
def in_terminal() -> Iterator[None]:
    """Within it, messages name options of the command line."""
    _Interface.terminal = True
    try:
        yield
    finally:
        _Interface.terminal = False


def option(name: str, value: object = None) -> str:
    """An argument as the user would write it, for a message.

    Args:
        name: of the option, such as ``"holdout"``.
        value: of the option; ``True`` for a switch.

    Returns:
        In the terminal ``--holdout 0.2``; in Python ``holdout=0.2``. Without a value only the name.
    """
    if _Interface.terminal:
        shown = ",".join(value) if isinstance(value, list) else value
        return f"--{name}" if value is None or value is True else f"--{name} {shown}"
    several = name in _IN_PYTHON
    argument = _IN_PYTHON.get(name, name.replace("-", "_"))
    if value is None:
        return argument
    return f"{argument}={[value] if several else value!r}"


def printable(text: str, longest: int = _LONGEST_MESSAGE) -> str:
    """Untrusted text for a terminal: control characters are escaped, and the middle is cut.

    Args:
        text: may hold anything, such as escape sequences that would move the cursor.
        longest: number of characters from which on the middle is left out.
    """
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} [...] {text[-half:]}"
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def first_line(said: object) -> str:
    """The first line of what an error of another library says, for a sentence of ours."""
    return (str(said).strip() or type(said).__name__).splitlines()[0].rstrip(".")
