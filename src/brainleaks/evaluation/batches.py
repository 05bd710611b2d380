"""How much of a private batch was recovered, and the claim on single samples that this supports."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from brainleaks.evaluation.levels import Claim, no_claim
from brainleaks.evaluation.likeness import correlations, ssim
from brainleaks.evaluation.statistics import CONFIDENCE, interval

KIND = "recovered-batch"
_LEVEL = 4


class Batch(NamedTuple):
    """Samples of a batch, private or recovered.

    Attributes:
        inputs: what the network takes, ``(T, B, ...)`` or ``(B, ...)``.
        labels: ``(B,)``, -1 where unknown.
        pictures: ``(B, C, H, W)`` in [0, 1].
        vectors: single input vectors ``(K, ...)``, placed in a sample or not.
    """

    inputs: Tensor
    labels: Tensor
    pictures: Tensor
    vectors: Tensor


def compare(private: Batch, recovered: Batch, known: Tensor, places: Tensor) -> dict[str, Tensor]:
    """What was recovered of each private sample, ``(B,)`` each.

    Recovered samples are assigned to private ones so that their pictures correlate most (the
    Hungarian method); a private sample without one counts as not recovered at all.

    Args:
        private: the batch.
        recovered: what an attack made of its gradient.
        known: pictures of many samples ``(N, C, H, W)``, the private ones among them.
        places: which of those the private ones are, ``(B,)``.

    Returns:
        ``vectors``: the share of its input vectors, silent ones apart, that were recovered to the
        bit, whichever sample they were placed in (NaN where inputs are not binary);
        ``bits``: the share of bits that are right, time step by time step;
        ``label``: 1 if the class is right; ``correlation`` and ``ssim`` of the pictures, SSIM being
        NaN where there is no picture plane; and ``reidentified``: 1 if of all known pictures the
        recovered one correlates most with the private one.
    """
    count = len(private.labels)
    found = {name: torch.zeros(count) for name in ("bits", "label", "correlation", "reidentified")}
    plane = private.pictures.ndim == 4 and min(private.pictures.shape[2:]) > 2
    found["ssim"] = torch.zeros(count) if plane else torch.full((count,), torch.nan)
    found["vectors"] = _vectors(private, recovered)
    if not len(recovered.labels):
        return found
    agreement = correlations(private.pictures, recovered.pictures)
    nearest = correlations(recovered.pictures, known).argmax(1)
    for i, j in zip(*linear_sum_assignment(-agreement.numpy()), strict=True):
        found["bits"][i] = _equal(private, recovered, int(i), int(j))
        found["label"][i] = float(private.labels[i] == recovered.labels[j])
        found["correlation"][i] = agreement[i, j]
        found["reidentified"][i] = float(nearest[j] == places[i])
        if plane:
            found["ssim"][i] = ssim(private.pictures[i], recovered.pictures[j])
    return found


def assigned(private: Tensor, recovered: Tensor) -> Tensor:
    """The recovered picture that is assigned to each private one; black where there is none.

    Args:
        private: ``(B, C, H, W)``.
        recovered: ``(K, C, H, W)``.
    """
    found = torch.zeros_like(private)
    if len(recovered):
        agreement = correlations(private, recovered)
        for i, j in zip(*linear_sum_assignment(-agreement.numpy()), strict=True):
            found[i] = recovered[j]
    return found


def _vectors(private: Batch, recovered: Batch) -> Tensor:
    """The share of each private sample's vectors that are among the recovered ones."""
    if private.inputs.ndim != private.pictures.ndim + 1:
        return torch.full((len(private.labels),), torch.nan)
    have = {_packed(vector) for vector in recovered.vectors}
    shares = []
    for sample in private.inputs.transpose(0, 1):
        fired = sample[sample.flatten(1).any(1)]
        shares.append(sum(_packed(v) in have for v in fired) / max(1, len(fired)))
    return torch.tensor(shares)


def _packed(vector: Tensor) -> bytes:
    return np.packbits(vector.bool().cpu().numpy()).tobytes()


def _equal(private: Batch, recovered: Batch, i: int, j: int) -> float:
    """The share of a sample's bits, or values to a hundredth, that are equal."""
    if private.inputs.ndim == private.pictures.ndim:
        return float(((private.inputs[i] - recovered.inputs[j]).abs() < 0.01).float().mean())
    mine, theirs = private.inputs[:, i].bool(), recovered.inputs[:, j] > 0.5
    steps = min(len(mine), len(theirs))
    return float((mine[:steps] == theirs[:steps]).sum() / mine.numel())


def hidden_vectors(private: Tensor, recovered: Tensor) -> Tensor:
    """The share of each sample's hidden spike vectors that are right to the bit, ``(B,)``.

    At the right time step of the right sample; recovered samples are assigned to private ones so
    that most are. Silent vectors apart.

    Args:
        private: ``(T, B, D)``.
        recovered: ``(T, K, D)``.
    """
    fired = private.any(2)
    right = (
        torch.stack([(private == r.unsqueeze(1)).all(2) for r in recovered.unbind(1)], 2)
        if (recovered.shape[1])
        else private.new_zeros(*private.shape[:2], 0)
    )
    shares = (right & fired.unsqueeze(2)).sum(0) / fired.sum(0).clamp(min=1).unsqueeze(1)
    found = torch.zeros(private.shape[1])
    for i, j in zip(*linear_sum_assignment(-shares.numpy()), strict=True):
        found[i] = shares[i, j]
    return found


def over_batches(values: ArrayLike) -> dict[str, float | None]:
    """The mean over batches ``(N, B)`` with its interval; a batch is the unit.

    Where all batches give the same, the bootstrap claims certainty; the end towards chance is then
    that of Clopper and Pearson, of as many batches that all succeeded, or all failed.
    """
    means = np.asarray(values, np.float64).mean(1)
    if not np.isfinite(means).all():
        return {"value": None, "low": None, "high": None}
    found = interval(means)
    low, high = found["low"], found["high"]
    if np.ptp(means) == 0 and means[0] in (0, 1):
        tail = ((1 - CONFIDENCE) / 2) ** (1 / len(means))
        low, high = float(means[0] * tail), float(1 - (1 - means[0]) * tail)
    return {"value": float(means.mean()), "low": low, "high": high}


def measured(batches: list[dict[str, Tensor]]) -> dict[str, Any]:
    """Every measure of :func:`compare` over batches, with its interval."""
    return {
        name: over_batches(torch.stack([batch[name] for batch in batches]).double().numpy())
        for name in batches[0]
    }


def claim(found: dict[str, Any], seen: str, batch_size: int, batches: int) -> Claim:
    """On level 4: more samples are re-identified than from the gradients of other batches.

    Shown where the lower end of the share of re-identified samples lies above the upper end of the
    control's, which is the same reconstruction beside another batch; refuted where the share is no
    larger than the control's.

    Args:
        found: what each attack recovered.
        seen: what the attacker sees, as the sentence says it.
        batch_size: private samples of each update.
        batches: how many updates were attacked.
    """
    if not found:
        return no_claim(KIND, _LEVEL, "Every attack on training steps failed.", [])
    name = max(found, key=lambda n: found[n]["measures"]["reidentified"]["low"])
    own = found[name]["measures"]["reidentified"]
    control = found[name]["controls"]["other-batch"]["reidentified"]
    shown = True if own["low"] > control["high"] else None
    shown = shown if own["value"] > control["value"] else False
    who = f"someone who sees {seen}"
    reached = (
        f"{own['value']:.0%} of its {batch_size} private samples "
        f"({own['low']:.0%} to {own['high']:.0%} over {batches} batches), by {name}"
    )
    said = {
        True: f"S{who[1:]} obtains {reached}.",
        None: f"It was not decided whether {who} obtains private samples: {reached}.",
        False: f"Nothing shows that {who} obtains its private samples.",
    }[shown]
    bits = found[name]["measures"]["vectors"]
    exact = (
        []
        if bits["value"] is None
        else [f"{bits['value']:.1%} of the input spike vectors are recovered to the bit."]
    )
    against = f"From the gradient of another batch, {control['value']:.1%} are re-identified."
    return Claim(
        kind=KIND,
        level=_LEVEL,
        attack=name,
        shown=shown,
        measure="share of private samples re-identified",
        value=own["value"],
        low=own["low"],
        high=own["high"],
        sentence=said,
        supports=[*exact, against] if shown else [],
        opposes=[] if shown else [against],
    )
