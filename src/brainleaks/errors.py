"""What a user got wrong, in one sentence."""


class InputError(ValueError):
    """A mistake in what the user handed over: a file, a field, a folder.

    The message is one clear sentence: where, what was found, what was expected, what to do.
    The command line prints it and exits with status 2.
    """


class AccessError(InputError):
    """An attack asked a target for more than the target grants."""


def first_line(said: object) -> str:
    """The first line of what an error of another library says, for a sentence of ours."""
    return (str(said).strip() or type(said).__name__).splitlines()[0].rstrip(".")
