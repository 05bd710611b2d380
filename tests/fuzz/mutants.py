"""Changes to a file: to its bytes, or to the values in what it holds."""

import copy

import numpy as np
from hypothesis import strategies as st

_EXTREMES = (
    *(value.to_bytes(size, order, signed=value < 0)
      for size in (1, 2, 4, 8)
      for order in ("little", "big")
      for value in (0, 1, -1, (1 << 8 * size - 1) - 1, -(1 << 8 * size - 1))),
)  # fmt: skip

#: Values that stand where a file's format has another one.
ODD_VALUES = (
    None, True, 0, 1, -1, 3.9, -0.0, 1e38, 1e308, float("inf"), float("nan"), 2**31, 2**63, 10**30,
    "", "text", "\x1b[31m\x07", "$x^$", "../../etc/passwd", "os:abort", "a" * 1_000, [], {}, [[]],
    [1, 2, 3], {"a": 1}, [None] * 5, ["x"] * 3,
)  # fmt: skip

ODD_ARRAYS = (
    np.zeros(0), np.zeros((2, 0)), np.ones((1, 1, 1, 1)), np.ones(3), np.array([1e38]),
    np.array([-1]), np.array([2**40]), np.array([[2, 6]]), np.array([0.5, 1.5]), np.array([True]),
    np.full((2, 6), np.nan), np.array([1j]),
)  # fmt: skip


def _flip(content, place, value, other):
    content[place] ^= 1 << value % 8


def _byte(content, place, value, other):
    content[place] = value % 256


def _extreme(content, place, value, other):
    number = _EXTREMES[value % len(_EXTREMES)]
    content[place : place + len(number)] = number


def _truncate(content, place, value, other):
    del content[place:]


def _remove(content, place, value, other):
    del content[place : place + value % 64 + 1]


def _repeat(content, place, value, other):
    piece = content[place : place + value % 256 + 1]
    content[place:place] = piece * (1 + value % 3)


def _splice(content, place, value, other):
    start = value % max(1, len(other))
    content[place:] = other[start:]


_CHANGES = (_flip, _byte, _extreme, _truncate, _remove, _repeat, _splice)
#: Most changes are small ones: a file that is cut off is not read much further.
_KINDS = st.sampled_from((_flip, _flip, _byte, _byte, _extreme, _extreme, _extreme, *_CHANGES))


@st.composite
def mutated_bytes(draw, seeds):
    """One of several files with one to four changes."""
    content = bytearray(draw(st.sampled_from(seeds)))
    other = draw(st.sampled_from(seeds))
    changes = st.tuples(_KINDS, st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 16) - 1))
    for change, place, value in draw(st.lists(changes, min_size=1, max_size=4)):
        if content:
            # half of them near the start, where headers are
            reach = len(content) if place % 2 else min(len(content), 256)
            change(content, place // 2 % reach, value, other)
    return bytes(content)


def places(tree, path=()):
    """The path to every value in nested dictionaries and lists."""
    yield path
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(value, (*path, key))


@st.composite
def mutated_tree(draw, seeds, odd=ODD_VALUES):
    """Nested dictionaries and lists with one to three values replaced, removed or renamed."""
    tree = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in places(tree) if path] or [()]))
        if not path:
            continue
        node = tree
        for key in path[:-1]:
            node = node[key]
        action = draw(st.sampled_from(("replace", "replace", "replace", "remove", "rename")))
        if action == "remove":
            del node[path[-1]]
        elif action == "rename" and isinstance(node, dict):
            node[str(draw(st.sampled_from(("x", "\x07", "a.b", "", "__class__"))))] = node.pop(
                path[-1]
            )
        else:
            node[path[-1]] = copy.deepcopy(draw(st.sampled_from(odd)))
    return tree
