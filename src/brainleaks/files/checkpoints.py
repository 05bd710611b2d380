"""Checkpoints as people save them: what ``torch.save`` wrote, and the one state dict in it."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from brainleaks.errors import InputError
from brainleaks.limits import ENTRIES, FILE_BYTES

_ZIP = b"PK\3\4"
#: How torch's format of before 1.6 begins: a pickled magic number.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
#: So many unknown classes are left unread in a file, and its dictionaries are searched so deep.
_UNKNOWN, _DEPTH = 64, 4
_REFUSED = re.compile(r"GLOBAL ([\w.]+) was not an allowed global")


class Unread:
    """What stands for an object of an unknown class: nothing is imported, called or kept."""

    called = "an object"

    def __new__(cls, *_args: Any, **_options: Any) -> "Unread":
        return super().__new__(cls)

    def __setstate__(self, _state: Any) -> None:
        pass


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, as torch writes them."""
    return _begins(path, _ZIP)


def is_torch(path: Path) -> bool:
    """Whether ``torch.save`` wrote the file, in its format of today or of before 1.6."""
    return _begins(path, _ZIP) or _begins(path, _LEGACY)


def read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote on whatever device: tensors, and what holds them.

    Objects of other classes are :class:`Unread`; no code of the file's is run.

    Raises:
        InputError: if it is damaged, is packed, or would have to be unpickled.
    """
    FILE_BYTES.check(path, path.stat().st_size)
    if is_zip(path):
        _check_archive(path)
    unknown: list[Any] = []
    while True:
        try:
            with warnings.catch_warnings(), safe_globals(unknown):
                warnings.simplefilter("ignore")  # of what a stranger's tensors are
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            found = _REFUSED.search(str(error))
            if found is None or len(unknown) == _UNKNOWN:
                raise InputError(
                    f"{path} holds more than tensors; unpickling it could run anyone's code. Save "
                    "the weights alone, torch.save(network.state_dict(), FILE), or use safetensors."
                ) from error
            unknown.append((_unread(found[1]), found[1]))
        except Exception as error:  # where a damaged file breaks the unpickler is anyone's guess
            raise InputError(f"{path} is not a complete file written by torch.save.") from error


def state_dict_in(path: Path, content: Any) -> tuple[dict[str, Tensor], str | None]:
    """The one state dict in a checkpoint, and a sentence on where it was found.

    Args:
        path: for messages.
        content: what the file holds.

    Raises:
        InputError: if it holds none, or several.
    """
    if isinstance(content, Unread):
        raise InputError(
            f"{path} holds {content.called} itself, which could be read only by running its code; "
            "save its weights: torch.save(network.state_dict(), FILE)."
        )
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds a {type(content).__name__}; expected a state dict, as "
            "torch.save(network.state_dict(), FILE) writes it."
        )
    found = dict(_state_dicts(content, ()))
    if len(found) > 1:
        names = " and ".join(repr(".".join(where)) for where in list(found)[:2])
        raise InputError(
            f"{path} holds {len(found)} state dicts, among them {names}; save the one of the "
            "network to audit."
        )
    if found:
        where, state = found.popitem()
        return state, f"The weights are under {'.'.join(where)!r} in the file." if where else None
    name, value = next(
        ((n, v) for n, v in content.items() if not isinstance(v, Tensor | dict)), ("", None)
    )
    kind = value.called if isinstance(value, Unread) else f"a {type(value).__name__}"
    raise InputError(
        f"{path} holds {kind if content else 'nothing'}{f' under {name!r}' if content else ''}; "
        "expected tensors by the weights' names, as torch.save(network.state_dict(), FILE) writes "
        "them."
    )


def _state_dicts(
    content: dict[Any, Any], where: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """The dictionaries of named tensors in a dictionary, by their place in it."""
    if content and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        yield where, content
    elif len(where) < _DEPTH and "param_groups" not in content:  # those are an optimiser's
        for name, value in content.items():
            if isinstance(name, str) and isinstance(value, dict):
                yield from _state_dicts(value, (*where, name))


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _unread(name: str) -> type[Unread]:
    return type("Unread", (Unread,), {"called": f"an object of {name}"})


def _check_archive(path: Path) -> None:
    """``torch.save`` packs nothing: what is packed can unpack to anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception as error:  # of a damaged directory zipfile says many things
        raise InputError(f"{path} is not a complete file written by torch.save.") from error
    ENTRIES.check(path, len(members))
    packed = [info.filename for info in members if info.compress_type != zipfile.ZIP_STORED]
    if packed or sum(info.file_size for info in members) > path.stat().st_size:
        raise InputError(
            f"{path} holds compressed entries, which torch.save does not write; save the tensors "
            "again with torch.save, or use safetensors."
        )
