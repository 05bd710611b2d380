"""The fields of a study, for who mistypes one."""

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any

from brainleaks.studies.config import Study

_Schema = dict[str, Any]


def nearest_field(location: tuple[int | str, ...]) -> str | None:
    """The field that is called most like one that does not exist.

    Args:
        location: of the unknown field, as pydantic has it: names of fields, indices and the tags of
            unions.
    """
    *place, name = location
    nodes = [_schema()]
    for key in place:
        nodes = _below(nodes, key)
    known = {field for node in _members(nodes) for field in node.get("properties", {})}
    return next(iter(difflib.get_close_matches(str(name), sorted(known), 1)), None)


@cache
def _schema() -> _Schema:
    return Study.model_json_schema()


def _members(nodes: list[_Schema]) -> Iterator[_Schema]:
    """The schemas, references followed and unions taken apart."""
    for node in nodes:
        if "$ref" in node:
            yield from _members([_schema()["$defs"][node["$ref"].rpartition("/")[2]]])
        elif options := node.get("oneOf", node.get("anyOf")):
            yield from _members(options)
        else:
            yield node


def _below(nodes: list[_Schema], key: int | str) -> list[_Schema]:
    """What stands at a key; the same schemas if it is the tag of a union without a mapping."""
    tags = [node.get("discriminator", {}).get("mapping", {}) for node in nodes]
    if tagged := [{"$ref": mapping[key]} for mapping in tags if key in mapping]:
        return tagged
    members = list(_members(nodes))
    if named := [m["properties"][key] for m in members if key in m.get("properties", {})]:
        return named
    free = [node for m in members for node in m.get("patternProperties", {}).values()]
    return free or members
