"""Weights as chips hold them: whole numbers, with or without a scale."""

from pathlib import Path

import torch
from torch import Tensor

from brainleaks.errors import InputError

_WHOLE = (torch.int8, torch.uint8, torch.int16, torch.int32)
#: What the scale and the zero point of a weight are called: after its name, or in its layer.
_SCALE, _ZERO = "scale", "zero_point"


def dequantized(path: Path, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Undo the quantisation of weights: ``(q - zero point) * scale``, to the last bit what ships.

    A scale is found as ``NAME_scale``, ``NAME.scale`` or ``LAYER.scale``, a zero point alike; it is
    one number, or one of each output channel. Without a scale, whole numbers stay what they are.

    Args:
        path: where they come from, for the message.
        tensors: the state dict.

    Returns:
        The tensors, scales left out, and sentences on what was done.

    Raises:
        InputError: if a scale does not fit its weight.
    """
    kept, scaled, alone = dict(tensors), list[str](), list[str]()
    for name, tensor in tensors.items():
        if tensor.is_quantized:
            kept[name] = tensor.dequantize()
            scaled.append(name)
        elif tensor.dtype in _WHOLE and tensor.ndim and not _is_unclear(tensors, name):
            scale, zero = _companion(tensors, name, _SCALE), _companion(tensors, name, _ZERO)
            kept[name] = tensor.float()
            (scaled if scale else alone).append(name)
            if zero:
                kept[name] -= _fitted(path, tensors, name, zero)
            if scale:
                kept[name] *= _fitted(path, tensors, name, scale)
            for used in (scale, zero):
                kept.pop(used or "", None)
    said = []
    if scaled:
        said.append(f"{_listed(scaled, tensors)}: whole numbers times their scales.")
    if alone:
        said.append(f"{_listed(alone, tensors)}: whole numbers, taken as they are.")
    return kept, said


def _is_unclear(tensors: dict[str, Tensor], name: str) -> bool:
    """Whether it is a bias in a layer with a scale, which may or may not be the bias's own."""
    layer = name.rpartition(".")[0]
    own = any(f"{name}{dot}{_SCALE}" in tensors for dot in "_.")
    others = any(f"{layer}.{n}" in tensors for n in (_SCALE, "weight_scale", "weight.scale"))
    return tensors[name].ndim == 1 and others and not own


def _companion(tensors: dict[str, Tensor], name: str, kind: str) -> str | None:
    """The name of a weight's scale or zero point in a state dict, if there is one."""
    layer = name.rpartition(".")[0]
    names = (f"{name}_{kind}", f"{name}.{kind}", f"{layer}.{kind}" if layer else kind)
    return next((found for found in names if found in tensors), None)


def _fitted(path: Path, tensors: dict[str, Tensor], name: str, companion: str) -> Tensor:
    """A scale or zero point in a shape that multiplies its weight."""
    weight, factor = tensors[name], tensors[companion].float()
    if factor.numel() == 1:
        return factor.reshape(())
    if factor.numel() == len(weight):
        return factor.reshape(-1, *[1] * (weight.ndim - 1))
    raise InputError(
        f"{path} holds {factor.numel()} numbers in {companion}; expected one, or one of each of "
        f"the {len(weight)} output channels of {name}."
    )


def _listed(names: list[str], tensors: dict[str, Tensor]) -> str:
    """Names, and the most different values that one of them holds."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    whole = [t.int_repr() if t.is_quantized else t for t in (tensors[name] for name in names)]
    most = max(len(tensor.unique()) for tensor in whole)
    return f"{', '.join(names[:3])}{rest} ({most} different values at most)"
