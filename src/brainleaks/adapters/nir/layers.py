"""NIR nodes as torch modules."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brainleaks.adapters.nir.graph import NEURONS
from brainleaks.adapters.nir.neurons import Delay, Dynamics, NirReset, Threshold
from brainleaks.errors import InputError


class Scale(nn.Module):
    """Inputs times a factor each."""

    scale: Tensor

    def __init__(self, scale: Any) -> None:
        super().__init__()
        self.register_buffer("scale", torch.as_tensor(np.asarray(scale, np.float64)))

    def forward(self, rows: Tensor) -> Tensor:
        return rows * self.scale


def build(name: str, node: dict[str, Any], dt: float, reset: NirReset) -> nn.Module:
    """Build the module of a node: neurons with time step ``dt``, or a stateless layer.

    Raises:
        InputError: if ``dt`` is too long for a time constant, or its fields make no sense.
    """
    try:
        return _module(name, node, dt, reset)
    except InputError:
        raise
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"node {name} ({node['type']}) of the NIR graph has fields that make no sense: {error}."
        ) from error


def _module(name: str, node: dict[str, Any], dt: float, reset: NirReset) -> nn.Module:
    kind = node["type"]
    if kind in NEURONS:
        _check_step(name, node, dt)
        return Dynamics(kind, node, dt, reset)
    if kind == "Delay":
        return Delay(node["delay"], dt)
    if kind == "Threshold":
        return Threshold(node["threshold"])
    if kind == "Scale":
        return Scale(node["scale"])
    if kind == "Flatten":
        # NIR counts dimensions without the batch
        start, end = (int(node[name]) for name in ("start_dim", "end_dim"))
        return nn.Flatten(start + (start >= 0), end + (end >= 0))
    if kind in ("SumPool2d", "AvgPool2d"):
        sizes: Any
        sizes = {name: _sides(node[name], 2) for name in ("kernel_size", "stride", "padding")}
        # a sum is an average that is divided by 1
        divisor: Any = 1 if kind == "SumPool2d" else None
        return nn.AvgPool2d(**sizes, divisor_override=divisor)
    weight = torch.as_tensor(np.asarray(node["weight"], np.float64))
    bias = node.get("bias")
    offset = torch.zeros(len(weight)) if bias is None else torch.as_tensor(np.asarray(bias))
    if offset.shape != (len(weight),):
        raise ValueError(f"bias has shape {tuple(offset.shape)}, for {len(weight)} outputs")
    layer: Any = (
        _linear(name, weight) if kind in ("Linear", "Affine") else _conv(kind, node, weight)
    )
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(offset.double(), requires_grad=False)
    return layer  # type: ignore[no-any-return]


def _check_step(name: str, node: dict[str, Any], dt: float) -> None:
    for entry in ("tau", "tau_mem", "tau_syn"):
        shortest = np.min(np.asarray(node[entry], np.float64)) if entry in node else np.inf
        if dt > shortest * (1 + 1e-6):
            raise InputError(
                f"dt is {dt:g} and {entry} of node {name} is {shortest:g}: a step longer than the "
                "time constant overshoots. Give the time step that the network was trained with; "
                "a file that Norse 1.1 exported has its time constants multiplied by that step, "
                "and needs its square."
            )


def _linear(name: str, weight: Tensor) -> nn.Module:
    if weight.ndim != 2:
        raise InputError(
            f"node {name} has a weight of shape {tuple(weight.shape)}; expected two sides."
        )
    return nn.Linear(weight.shape[1], weight.shape[0], device="meta")


def _conv(kind: str, node: dict[str, Any], weight: Tensor) -> nn.Module:
    sides = 1 if kind == "Conv1d" else 2
    padding = node["padding"]
    groups = int(node["groups"])
    settings = [_sides(node["stride"], sides), padding, _sides(node["dilation"], sides), groups]
    if not isinstance(padding, str):
        settings[1] = _sides(padding, sides)
    make: Any = nn.Conv1d if sides == 1 else nn.Conv2d
    return make(weight.shape[1] * groups, len(weight), weight.shape[2:], *settings, device="meta")  # type: ignore[no-any-return]


def _sides(value: Any, sides: int) -> tuple[int, ...]:
    flat = np.asarray(value).flatten()
    return tuple(int(side) for side in (flat if len(flat) == sides else np.repeat(flat[:1], sides)))
