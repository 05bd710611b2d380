"""YAML from a stranger: its size, nesting and repetition are bounded before anything is made of it.

An alias repeats what it names, so that a few hundred bytes of nested aliases stand for billions of
values; each is counted as often as it is repeated.
"""

import re
from typing import Any

import yaml

from brainleaks.errors import InputError, printable
from brainleaks.limits import DEPTH, ITEMS, TEXT_BYTES

_LONGEST_REASON = 300


def load_yaml(where: object, text: str) -> Any:
    """The content of a YAML document: mappings, lists, text, numbers, truth values and ``None``.

    Args:
        where: the file or setting, for errors.
        text: the document.

    Raises:
        InputError: if it is no valid YAML, or goes beyond the limits.
    """
    TEXT_BYTES.check(where, len(text.encode(errors="replace")))
    try:
        _check_size(where, text)
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise InputError(f"{where} is not valid YAML: {_reason(error)}.") from error
    except (AttributeError, TypeError) as error:  # what PyYAML raises for odd tags
        raise InputError(f"{where} is not valid YAML.") from error


def _reason(error: Exception) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return place + printable(" ".join(str(problem or error).split()), _LONGEST_REASON)


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number, as YAML 1.2 does; PyYAML takes it for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _check_size(where: object, text: str) -> None:
    """Count the document's values as its aliases repeat them, event by event."""
    count, begun = 0, []
    sizes: dict[str, int] = {}
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            count += sizes.get(event.anchor or "", 0) + 1
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            begun.append((event.anchor, count))
            count += 1
            DEPTH.check(where, len(begun))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = begun.pop()
            if anchor:
                sizes[anchor] = count - before
        ITEMS.check(where, count)
