"""The defences, one file each, and the registry of their names.

Every file of this folder is searched: a defence is a dataclass that names itself (``name``) and
says what it acts on (``acts``), so a new one needs no entry anywhere else.
"""

import pkgutil
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from brainleaks.defences.defence import ACTS, Acts, Defence, Undoable, acting


def _found() -> Iterator[type[Any]]:
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for value in vars(import_module(module.name)).values():
            own = isinstance(value, type) and value.__module__ == module.name
            if own and {"acts", "name"} <= vars(value).keys() and value is not Defence:
                yield value


_ALL = sorted(_found(), key=lambda defence: (ACTS.index(defence.acts), defence.name))

#: The defences by name, in the order of what they act on.
DEFENCES: dict[str, type[Defence]] = {defence.name: defence for defence in _ALL}

if TYPE_CHECKING:
    AnyDefence = Defence
else:
    #: Any defence, distinguished by its ``name`` field, as a study file names it.
    AnyDefence = Annotated[reduce(or_, _ALL), Field(discriminator="name")]

__all__ = ["ACTS", "DEFENCES", "Acts", "AnyDefence", "Defence", "Undoable", "acting"]
