"""Training networks."""

from brainleaks.training.fitting import (
    Encode,
    Recipe,
    accuracy,
    fit,
    restore,
    state_of,
    summed_cross_entropy,
)

__all__ = ["Encode", "Recipe", "accuracy", "fit", "restore", "state_of", "summed_cross_entropy"]
