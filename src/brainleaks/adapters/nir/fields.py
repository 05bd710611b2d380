"""Validation of the fields of NIR nodes: type, sign and range."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from brainleaks.errors import InputError
from brainleaks.limits import IMAGE_PIXELS

#: Whole numbers, and the least that each may be.
_WHOLE = {
    "shape": 1, "input_shape": 1, "stride": 1, "dilation": 1, "groups": 1, "kernel_size": 1,
    "padding": 0,
}  # fmt: skip
_AXES = ("start_dim", "end_dim")
_ABOVE_0 = ("tau", "tau_mem", "tau_syn")
#: What says how a node was exported, and is not computed with.
_UNUSED = ("type", "name", "metadata", "input_type", "output_type")
#: The largest whole number that makes sense as a side, a stride or a number of groups.
_LARGEST_SIDE = 1 << 20
#: No membrane, weight or time constant is larger; in float32 its square is still finite.
_LARGEST = 1e12


def check_fields(path: Path, name: str, node: dict[str, Any]) -> None:
    """Check the fields of a node.

    Raises:
        InputError: naming the file, the node and the field, what it holds and what is expected.
    """
    for entry, value in node.items():
        if entry in _UNUSED:
            continue
        field = f"{path}: {entry} of node {name} ({node['type']})"
        if entry == "padding" and isinstance(value, str) and value in ("same", "valid"):
            continue
        if not _is_numeric(value):
            raise InputError(f"{field} is {_shown(value)}; expected numbers.")
        _check_values(field, entry, np.asarray(value))
    _check_threshold(path, name, node)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return True
    return isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf"


def _check_values(field: str, entry: str, values: Any) -> None:
    if not values.size:
        raise InputError(f"{field} is empty; expected numbers.")
    if not np.isfinite(values).all():
        raise InputError(f"{field} is NaN or infinite.")
    if entry in _WHOLE or entry in _AXES:
        least = _WHOLE.get(entry, -8)
        whole = (values % 1 == 0).all() and (values >= least).all()
        if not whole or (values > _LARGEST_SIDE).any() or values.size > 8 or values.ndim > 1:
            raise InputError(
                f"{field} is {_shown(values)}; expected whole numbers from {least} to "
                f"{_LARGEST_SIDE:,}."
            )
        if entry in ("shape", "input_shape"):
            IMAGE_PIXELS.check(field, prod(int(side) for side in values.flat))
    elif (np.abs(values) > _LARGEST).any():
        largest = float(np.abs(values).max())
        raise InputError(f"{field} reaches {largest:g}; expected at most {_LARGEST:g}.")
    if entry in _ABOVE_0 and not (values > 0).all():
        raise InputError(f"{field} is not above 0.")


def _check_threshold(path: Path, name: str, node: dict[str, Any]) -> None:
    """A neuron that is reset above its threshold fires at every step, whatever it is given."""
    if "v_threshold" not in node:
        return
    threshold, reset = np.asarray(node["v_threshold"]), np.asarray(node.get("v_reset", 0.0))
    try:
        above = np.subtract(threshold, reset, dtype=np.float64) > 0
    except ValueError as error:
        raise InputError(
            f"{path}: v_threshold of node {name} ({node['type']}) has shape {threshold.shape} and "
            f"v_reset {reset.shape}; expected one of each for every neuron."
        ) from error
    if not above.all():
        i = int(np.argmin(above))
        pair = [float(np.broadcast_to(v, above.shape).flat[i]) for v in (threshold, reset)]
        raise InputError(
            f"{path}: v_threshold of node {name} ({node['type']}) is {pair[0]:g} where its neurons "
            f"are reset to {pair[1]:g}; expected a threshold above the reset."
        )


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return f"{type(value).__name__} {text[:60]!r}" if isinstance(value, str) else text[:60]
