"""The names in a state dict, matched with those of a network."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from brainleaks.errors import InputError

#: What wrappers put into names: torch.compile everywhere, DataParallel and its like.
_COMPILED, _PARALLEL = "_orig_mod", "module"
#: The last state of a neuron, which is reset before each input.
STATE = (
    "mem", "spk", "syn", "syn_exc", "syn_inh", "v", "v_seq", "v_mem", "i_syn", "vmem", "isyn",
    "spikes",
)  # fmt: skip


class Matched(NamedTuple):
    """The tensors under the network's names, and sentences on what was done for it."""

    tensors: dict[str, Tensor]
    said: list[str]


def match(network: nn.Module, path: Path, tensors: dict[str, Tensor]) -> Matched:
    """Undo what wrappers did to the names of a state dict.

    Prefixes are removed if all of the network's names are found behind them, single numbers that
    the network's neurons keep as buffers may be missing, and states of neurons are left out.

    Args:
        network: takes the weights.
        path: where they come from, for the message.
        tensors: the state dict.

    Raises:
        InputError: if two networks in the state dict match.
    """
    wanted = network.state_dict()
    optional = {name for name, b in network.named_buffers() if b is not None and b.numel() == 1}
    optional |= {name for name in wanted if _is_state(name)}
    for parts in ((), (_COMPILED,), (_COMPILED, _PARALLEL)):
        named = _without(tensors, parts)
        fitting = [p for p in _prefixes(named) if (wanted.keys() - optional) <= _behind(named, p)]
        if len(fitting) > 1:
            first, second = (f"{p}." if p else "no prefix" for p in sorted(fitting)[:2])
            raise InputError(
                f"{path} holds several networks of this architecture ({first} and {second}); save "
                "the one to audit."
            )
        if fitting:
            return _told(named, fitting[0], parts, wanted, len(tensors))
    return Matched(tensors, [])


def _told(
    named: dict[str, Tensor],
    prefix: str,
    parts: tuple[str, ...],
    wanted: dict[str, Tensor],
    count: int,
) -> Matched:
    lead = f"{prefix}." if prefix else ""
    found = {name.removeprefix(lead): t for name, t in named.items() if name.startswith(lead)}
    states = [name for name in found if _is_state(name)]
    missing = [name for name in wanted if name not in found]
    kept = {name: t for name, t in found.items() if name not in states}
    kept |= {name: wanted[name] for name in wanted if _is_state(name) or name in missing}
    said = []
    if parts or prefix:
        removed = " and ".join(repr(f"{part}.") for part in (*parts, *([prefix] if prefix else [])))
        said.append(f"{removed} was removed from the names of the weights.")
    if rest := count - len(found):
        said.append(f"{rest} other tensors in the file were left out.")
    if states:
        said.append(f"{', '.join(states[:3])}: states of neurons in the file were left out.")
    if numbers := [name for name in missing if not _is_state(name)]:
        said.append(f"{', '.join(numbers[:3])}: not in the file; the factory's values are used.")
    return Matched(kept, said)


def _is_state(name: str) -> bool:
    layer, _, entry = name.rpartition(".")
    return bool(layer) and entry in STATE


def _without(tensors: dict[str, Tensor], parts: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors with parts of their names removed, unless two names become one."""
    names = {n: ".".join(part for part in n.split(".") if part not in parts) for n in tensors}
    if max(Counter(names.values()).values(), default=0) > 1:
        return {}
    return {names[name]: tensor for name, tensor in tensors.items()}


def _prefixes(named: dict[str, Tensor]) -> list[str]:
    """What names begin with, up to a dot, and nothing."""
    found = {""}
    for name in named:
        parts = name.split(".")
        found |= {".".join(parts[:i]) for i in range(1, min(len(parts), 6))}
    return sorted(found)


def _behind(named: dict[str, Tensor], prefix: str) -> set[str]:
    lead = f"{prefix}." if prefix else ""
    return {name.removeprefix(lead) for name in named if name.startswith(lead)}
