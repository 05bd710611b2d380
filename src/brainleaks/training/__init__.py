"""Training networks, and generative priors of images."""

from brainleaks.training.checkpoint import restore, state_of
from brainleaks.training.fitting import accuracy, fit
from brainleaks.training.local import LocalTraining, gradients, update
from brainleaks.training.loop import Batch, TrainingLoop
from brainleaks.training.loss import summed_cross_entropy
from brainleaks.training.recipe import Recipe, settings

__all__ = [
    "Batch",
    "LocalTraining",
    "Recipe",
    "TrainingLoop",
    "accuracy",
    "fit",
    "gradients",
    "restore",
    "settings",
    "state_of",
    "summed_cross_entropy",
    "update",
]
