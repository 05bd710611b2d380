"""Find the device to compute on, and have a GPU compute the same each time."""

import torch

from brainleaks.errors import InputError, option


def exact_on_gpu() -> None:
    """Let convolutions on a GPU keep all of float32, and give the same bytes each time.

    By default they round their factors to TF32's 10 bits, which moves spikes, and may sum in an
    order that differs from run to run. Elsewhere nothing changes.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


def device_at_hand(name: str) -> str:
    """The device of that name; a GPU is set up to compute exactly (:func:`exact_on_gpu`).

    Args:
        name: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; ``"auto"`` is ``"cuda"`` where there is one,
            else ``"cpu"``.

    Raises:
        InputError: if torch finds no such device.
    """
    kind, _, index = name.partition(":")
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return device_at_hand("cuda" if there else "cpu")
    if name == "cpu":
        return name
    if kind != "cuda" or (":" in name and not index.isdecimal()):
        raise InputError(
            f"{option('device', name)}: unknown device; expected auto, cpu, cuda or, of several "
            "GPUs, one by its number, such as cuda:1."
        )
    if int(index or 0) >= there:
        found = f"{there} CUDA device{'s' * (there > 1)}" if there else "no CUDA device"
        raise InputError(f"{option('device', name)}: torch finds {found}; use auto or cpu.")
    exact_on_gpu()
    return name
