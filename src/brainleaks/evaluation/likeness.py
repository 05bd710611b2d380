"""Similarity of reconstructions to real samples, without any classifier.

Reconstructions are compared as images (spikes as firing rates), min-max scaled one by one, with the
samples that the target was trained on and with samples of the same classes that it never saw.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import gammaln
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional

#: SSIM is taken with so many samples of the class at most, those that correlate most.
_CANDIDATES = 32
_DEFAULT_WINDOW = 7
_NEIGHBOURS = 5
#: The shorter side of a picture is so many times as long as the blur is wide (its sigma).
_BLURS = 16


#: What is measured beside samples of either side.
SIDED = (
    "correlation",
    "mean_correlation",
    "blurred_correlation",
    "ssim",
    "feature_distance",
    "feature_distance_5",
)


class Reference(NamedTuple):
    """Real samples: ``images`` ``(N, C, H, W)``, ``labels`` ``(N,)``, ``features`` ``(N, F)``."""

    images: Tensor
    labels: Tensor
    features: Tensor


def likeness(
    seen: Tensor,
    features: Tensor,
    labels: Tensor,
    members: Reference,
    held_out: Reference,
    classes: int,
) -> dict[str, Tensor]:
    """Similarity of each reconstruction to real samples of its class, ``(B,)`` each.

    A class without held-out samples has NaN where they are asked for; so has SSIM where inputs have
    no picture plane.

    Args:
        seen: reconstructions as images ``(B, C, H, W)`` in [0, 1].
        features: what a judge's last layer is given of them, ``(B, F)``.
        labels: the class that each was made for.
        members: what the target was trained on.
        held_out: what it never saw.
        classes: how many there are.

    Returns:
        ``identification``: share of the other classes whose most correlated member correlates less,
        ties counted half;
        ``reidentified``: 1 where the most correlated member of all is of the right class;
        ``distinctness``: correlation with the nearest member of the class less that with the
        nearest member of any other;
        ``memorisation``: correlation with the nearest member less that with the nearest held-out
        sample, both among equally many; ``nearest``: index of the class's most correlated member;
        and, with ``_members`` and ``_held_out`` behind the name: ``correlation`` and ``ssim`` with
        the nearest, ``mean_correlation`` with the class mean, ``blurred_correlation`` with the
        class mean after both were blurred, ``feature_distance`` to the nearest and
        ``feature_distance_5`` to the five nearest.
    """
    by_class = nearest_of_each_class(seen, members.images, members.labels, classes)
    own = by_class.gather(1, labels.unsqueeze(1))
    less, ties = (by_class < own).sum(1), (by_class == own).sum(1) - 1
    found = {
        "identification": (less + ties / 2) / max(1, classes - 1),
        "reidentified": (by_class.argmax(1) == labels).float(),
        "distinctness": distinctness(by_class, labels),
    }
    rows = []
    for i, label in enumerate(labels.tolist()):
        one = slice(i, i + 1)
        row: dict[str, float] = {}
        sides = {"members": members, "held_out": held_out}
        correlated = {}
        for side, reference in sides.items():
            chosen = (reference.labels == label).nonzero().squeeze(1)
            values = correlations(seen[one], reference.images[chosen])[0]
            correlated[side] = values
            row |= _with_side(side, seen[i], features[one], reference, chosen, values)
        chosen = (members.labels == label).nonzero().squeeze(1)
        row["nearest"] = float(chosen[correlated["members"].argmax()]) if len(chosen) else np.nan
        row["memorisation"] = _memorisation(*correlated.values())
        rows.append(row)
    found |= {key: torch.tensor([row[key] for row in rows]) for key in rows[0]}
    return {key: value.float() for key, value in found.items()}


def correlations(images: Tensor, others: Tensor) -> Tensor:
    """Pearson's correlation of each image with each of the others, ``(B, N)``; 0 if flat."""
    return _unit(images) @ _unit(others).T


def nearest_of_each_class(seen: Tensor, images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The largest correlation with a sample of each class, ``(B, C)``; -1 without samples."""
    return largest_of_each_class(correlations(seen, images), labels, classes)


def largest_of_each_class(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The largest value ``(B, N)`` among samples of each class, ``(B, C)``; -1 without samples."""
    best = values.new_full((len(values), classes), -1.0)
    return best.scatter_reduce(1, labels.to(values.device).expand(len(values), -1), values, "amax")


def distinctness(by_class: Tensor, labels: Tensor) -> Tensor:
    """How much nearer each picture is to its class than to any other, ``(B,)``.

    Args:
        by_class: as :func:`nearest_of_each_class` gives it, of two classes at least.
        labels: the class that each picture was made for.
    """
    own = labels.unsqueeze(1)
    others = by_class.scatter(1, own, -torch.inf)
    return by_class.gather(1, own).squeeze(1) - others.amax(1)


def blurred(images: Tensor) -> Tensor:
    """Images ``(B, C, H, W)`` without speckle, which the eye overlooks and correlation does not.

    The Gaussian is as wide as a sixteenth of the shorter side. Streams, ``(B, N)``, stay as they
    are.
    """
    if images.ndim != 4:
        return images
    sigma = min(images.shape[2:]) / _BLURS
    return torch.from_numpy(
        gaussian_filter(images.cpu().numpy(), (0, 0, sigma, sigma), mode="nearest")
    )


def ssim(image: Tensor, other: Tensor) -> float:
    """Structural similarity of two images ``(C, H, W)`` in [0, 1], channels averaged.

    As scikit-image computes it, data range 1, its default window or the largest that fits.
    """
    first, second = image.mean(0).cpu().numpy(), other.mean(0).cpu().numpy()
    side = min(first.shape)
    window = min(_DEFAULT_WINDOW, side - (1 - side % 2))
    return float(structural_similarity(first, second, data_range=1.0, win_size=window))


def expected_maximum(values: NDArray[np.float64], drawn: int) -> float:
    """The expected maximum of ``drawn`` values, drawn without replacement.

    The ``i``-th smallest of ``n`` is the largest of them with probability
    ``C(i - 1, drawn - 1) / C(n, drawn)``.
    """
    ordered, n = np.sort(values), len(values)
    ranks = np.arange(drawn, n + 1)
    logs = _log_choose(ranks - 1, drawn - 1) - _log_choose(n, drawn)
    return float(np.exp(logs) @ ordered[drawn - 1 :])


def _with_side(
    side: str, image: Tensor, features: Tensor, reference: Reference, chosen: Tensor, values: Tensor
) -> dict[str, float]:
    """Compare one reconstruction with the samples of its class on one side."""
    if not len(chosen):
        return {f"{key}_{side}": np.nan for key in SIDED}
    samples = reference.images[chosen]
    candidates = samples[values.topk(min(_CANDIDATES, len(chosen))).indices]
    distances = torch.cdist(features, reference.features[chosen])[0].sort().values
    mean = samples.mean(0, keepdim=True)
    return {
        f"correlation_{side}": float(values.max()),
        f"mean_correlation_{side}": float(correlations(image.unsqueeze(0), mean)),
        f"blurred_correlation_{side}": float(
            correlations(blurred(image.unsqueeze(0)), blurred(mean))
        ),
        f"ssim_{side}": max(ssim(image, sample) for sample in candidates)
        if image.ndim == 3
        else np.nan,
        f"feature_distance_{side}": float(distances[0]),
        f"feature_distance_5_{side}": float(distances[:_NEIGHBOURS].mean()),
    }


def _memorisation(members: Tensor, held_out: Tensor) -> float:
    """How much closer the nearest member is, if both sides had equally many samples."""
    drawn = min(len(members), len(held_out))
    if not drawn:
        return float("nan")
    sides = (v.double().cpu().numpy() for v in (members, held_out))
    near, far = (expected_maximum(side, drawn) for side in sides)
    return near - far


def _unit(images: Tensor) -> Tensor:
    rows = images.flatten(1)
    return functional.normalize(rows - rows.mean(1, keepdim=True), dim=1, eps=1e-8)


def _log_choose(n: NDArray[np.int64] | int, k: int) -> NDArray[np.float64]:
    return np.asarray(gammaln(np.add(n, 1)) - gammaln(k + 1) - gammaln(np.subtract(n, k) + 1))
