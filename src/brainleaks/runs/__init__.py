"""Finished runs on disk: their digests, and the numbers in them, checked when they are read."""

from brainleaks.runs.digests import is_sealed, seal, verify
from brainleaks.runs.results import headline, in_order, read_provenance, read_results
from brainleaks.runs.tensors import read_images, read_inputs, read_samples

__all__ = [
    "headline",
    "in_order",
    "is_sealed",
    "read_images",
    "read_inputs",
    "read_provenance",
    "read_results",
    "read_samples",
    "seal",
    "verify",
]
