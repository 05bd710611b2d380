"""What determines a stage's bytes, and its hash."""

import hashlib
import json
from importlib import metadata
from typing import Any

import torch

#: In a key: part of what determines the stage is not known, so that nothing of it may be kept.
UNKNOWN = "not known"


def is_known(key: Any) -> bool:
    """Whether a key says all that determines its stage."""
    if isinstance(key, dict):
        return all(is_known(value) for value in key.values())
    if isinstance(key, list | tuple):
        return all(is_known(value) for value in key)
    return bool(key != UNKNOWN)


def digest(key: dict[str, Any], *, whole: bool = False) -> str:
    """A hash of anything that JSON can hold, of 16 hexadecimal digits or ``whole``."""
    found = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return found if whole else found[:16]


def environment(device: str, versions: dict[str, int]) -> dict[str, Any]:
    """What else determines a stage's bytes: its version, the libraries, the device, its threads.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        versions: of what computes the stage (:mod:`brainleaks.pipeline.versions`).
    """
    return {
        "versions": versions,
        "torch": torch.__version__,
        "numba": metadata.version("numba"),
        "device": torch.cuda.get_device_name(device) if "cuda" in device else device,
        "threads": torch.get_num_threads(),
    }
