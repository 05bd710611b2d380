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
from brainleaks.training.local import LocalTraining, gradients, update

__all__ = [
    "LocalTraining",
    "Recipe",
    "accuracy",
    "fit",
    "gradients",
    "restore",
    "settings",
    "state_of",
    "summed_cross_entropy",
    "update",
]
