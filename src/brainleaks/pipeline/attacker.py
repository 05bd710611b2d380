"""What an attacker who knows a study's defences sees of a network."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from brainleaks.defences import Defence, Undoable, acting
from brainleaks.pipeline.versions import of_defences
from brainleaks.randomness import stream
from brainleaks.target import RANKS, Access


def sees_weights(access: Access) -> bool:
    """Whether an attacker with this access has the weights."""
    return RANKS.index(access) > RANKS.index("scores")


def told(defences: Sequence[Defence], access: Access) -> list[Defence]:
    """The defences of answers that bind an attacker."""
    return [] if sees_weights(access) else acting(defences, "answers")


def undoable(defences: Sequence[Defence], access: Access) -> list[Undoable]:
    """The defences that an attacker undoes in part, the last one first."""
    if not sees_weights(access):
        return []
    return [defence for defence in reversed(defences) if isinstance(defence, Undoable)]


def undone(defences: Sequence[Defence], access: Access, network: nn.Module, seed: int) -> nn.Module:
    """The network that an attacker who inverts it works on."""
    for defence in undoable(defences, access):
        network = defence.undo(network, generator=stream(seed, "undo", defence.name))
    return network


def determined_by(
    defences: Sequence[Defence], access: Access, *, undo: bool = False
) -> dict[str, Any]:
    """What of the defences determines what an attacker sees, besides the network."""
    found = {
        "answers": of_defences(told(defences, access)),
        "undone": of_defences(undoable(defences, access)) if undo else [],
    }
    return {name: settings for name, settings in found.items() if settings}
