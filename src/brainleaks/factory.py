"""What a user names as ``module:function``, imported and called: a network, or a data set."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from brainleaks.errors import InputError

#: What each optional package is imported as, and the extra that installs it.
OPTIONAL = {
    "aedat": "aedat",
    "h5py": "nir",
    "norse": "norse",
    "pandas": "pandas",
    "rockpool": "rockpool",
    "sinabs": "sinabs",
    "snntorch": "snntorch",
    "spikingjelly": "spikingjelly",
}


def is_factory(text: str) -> bool:
    """Whether a text reads ``module:function`` rather than a path."""
    module, colon, function = text.rpartition(":")
    return bool(colon) and function.isidentifier() and all(map(str.isidentifier, module.split(".")))


def make(factory: str, named: str = "the factory", **known: Any) -> Any:
    """Import a module, from the current folder or installed, and call its function.

    Args:
        factory: ``module:function``.
        named: what named it, for errors.
        known: what the function may ask for, each by an argument of that name.

    Raises:
        InputError: if there is no such function, or importing or calling it fails.
    """
    function = imported(factory, named)
    with _current_folder():
        try:
            return function(**_asked_for(function, known))
        except InputError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"calling {named} {factory} fails with {_told(error)}.") from error


def imported(factory: str, named: str = "the factory") -> Callable[..., Any]:
    """Import a module, from the current folder or installed, and return its function.

    Raises:
        InputError: if there is no such function, or importing it fails.
    """
    name, _, attribute = factory.partition(":")
    if not name or not attribute:
        raise InputError(f"{named} is {factory!r}; expected module:function, as in models:build.")
    with _current_folder():
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            require(str(error.name).partition(".")[0])
            raise InputError(
                f"{named} {factory} cannot be imported: no module named {error.name} is installed "
                "or in the current folder."
            ) from error
        except (Exception, SystemExit) as error:  # whatever a stranger's module raises
            raise InputError(f"importing {name} fails with {_told(error)}.") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        found = "has no such name" if function is None else f"has a {type(function).__name__}"
        raise InputError(f"{named} is {factory}, but {name} {found}; expected a function.")
    return cast("Callable[..., Any]", function)


def require(package: str) -> None:
    """Refuse to go on without an optional package.

    Raises:
        InputError: naming the install command, if ``package`` is one and is absent.
    """
    if package in OPTIONAL and importlib.util.find_spec(package) is None:
        extra = OPTIONAL[package]
        raise InputError(
            f"{package} is required but not installed; install it with pip install "
            f"'brainleaks[{extra}]'."
        )


def _asked_for(function: Callable[..., Any], known: dict[str, Any]) -> dict[str, Any]:
    """What a function cannot do without, of what is known; a default of its own stays."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # functions of compiled modules show none
        return {}
    needed = {p.name for p in parameters if p.default is p.empty}
    return {name: value for name, value in known.items() if name in needed}


@contextmanager
def _current_folder() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _told(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
