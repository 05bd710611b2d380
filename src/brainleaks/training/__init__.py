"""Training networks, and generative priors of images."""

from brainleaks.training.fitting import (
    Recipe,
    accuracy,
    fit,
    restore,
    settings,
    state_of,
    summed_cross_entropy,
)

__all__ = ["Recipe", "accuracy", "fit", "restore", "settings", "state_of", "summed_cross_entropy"]
