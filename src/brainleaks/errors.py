"""What a user got wrong, in one sentence."""


class InputError(ValueError):
    """A mistake in what the user handed over: a file, a field, a folder.

    The message is one clear sentence: where, what was found, what was expected, what to do.
    The command line prints it and exits with status 2.
    """


class AccessError(InputError):
    """An attack asked a target for more than the target grants."""
