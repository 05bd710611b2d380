"""What a function of the user's own makes: ``module:function``."""

import importlib
import sys
from pathlib import Path
from typing import Any

from brainleaks.errors import InputError


def is_factory(text: str) -> bool:
    """Whether a text reads ``module:function`` rather than a path."""
    module, colon, function = text.rpartition(":")
    return bool(colon) and function.isidentifier() and all(map(str.isidentifier, module.split(".")))


def call_factory(option: str, text: str) -> Any:
    """What the function returns; modules are found in the working directory too.

    Args:
        option: what named it, for errors.
        text: ``module:function``.

    Raises:
        InputError: if there is no such module or function, or it fails.
    """
    module, _, function = text.rpartition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        made = getattr(importlib.import_module(module), function, None)
        if not callable(made):
            raise InputError(f"{option} {text}: {module} has no function {function}.")
        return made()
    except InputError:
        raise
    except Exception as error:  # whatever the user's own code raises
        reason = " ".join(str(error).split())
        raise InputError(f"{option} {text} fails: {type(error).__name__}: {reason}.") from error
    finally:
        sys.path.remove(here)
