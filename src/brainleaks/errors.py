"""What a user got wrong, in one sentence."""


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
