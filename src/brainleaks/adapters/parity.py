"""Parity: a lowered network's outputs compared with the original's, on the same samples."""

import math
from typing import Any

import torch
from torch import Tensor

from brainleaks.networks import Response

# membranes are sums in another order: so far apart, relative to the largest, they may be
_TOLERANCE = 1e-4


@torch.no_grad()
def compare(original: Response, lowered: Response) -> dict[str, Any]:
    """Compare the outputs of a lowered network with the original's, on the same samples.

    Returns:
        ``compared`` (which trace), ``identical`` (whether the network may be lowered),
        ``differing`` and ``firing`` (spikes that differ, and the share of those that could be
        which are, where spikes are compared) and ``largest_difference`` (of the membrane, or of
        what the original answers with instead; ``None`` where their shapes differ or a value is
        not finite).
    """
    shape = lowered.membrane.shape
    if (
        original.spikes is not None
        and lowered.spikes is not None
        and original.spikes.shape == shape
    ):
        differing = int((original.spikes != lowered.spikes).sum())
        firing = round(float(original.spikes.mean()), 6)
        found: dict[str, Any] = {"differing": differing, "firing": firing}
        found["compared"] = "output spikes"
        distance, close = _distance(original.membrane, lowered.membrane)
        if torch.equal(original.membrane, original.spikes):  # it answers with spikes alone
            return found | {"identical": differing == 0, "largest_difference": float(differing > 0)}
        return found | {"identical": differing == 0 and close, "largest_difference": distance}
    if len(original.membrane) == 1 != len(lowered.membrane):
        return _compare_pooled(original.membrane[0], lowered)
    distance, close = _distance(original.membrane, lowered.membrane)
    return {"compared": "output trace", "identical": close, "largest_difference": distance}


def _compare_pooled(answer: Tensor, lowered: Response) -> dict[str, Any]:
    """Compare an output without time, ``(B, C)``, with the mean and sum of the lowered traces."""
    found = {}
    for name, trace in (("spikes", lowered.spikes), ("membrane", lowered.membrane)):
        if trace is not None:
            found[f"mean over time of the output {name}"] = _distance(answer, trace.mean(0))
            found[f"sum over time of the output {name}"] = _distance(answer, trace.sum(0))
    compared, (distance, close) = min(
        found.items(), key=lambda item: math.inf if item[1][0] is None else item[1][0]
    )
    return {"compared": compared, "identical": close, "largest_difference": distance}


def _distance(a: Tensor, b: Tensor) -> tuple[float | None, bool]:
    distance = float((a - b).abs().max()) if a.shape == b.shape else math.inf
    if not math.isfinite(distance):
        return None, False
    return distance, distance <= _TOLERANCE * max(1.0, float(a.abs().max()))
