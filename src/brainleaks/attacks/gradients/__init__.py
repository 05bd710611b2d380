"""Attacks on training steps: the private batch from the gradient of its loss."""

from brainleaks.attacks.gradients.error_iteration import ErrorIteration
from brainleaks.attacks.gradients.gradient_matching import GradientMatching
from brainleaks.attacks.gradients.readout_separation import ReadoutSeparation
from brainleaks.attacks.gradients.recover import recover
from brainleaks.attacks.gradients.spike_separation import SpikeSeparation
from brainleaks.attacks.gradients.step import Recovered, TrainingStep

__all__ = [
    "ErrorIteration",
    "GradientMatching",
    "ReadoutSeparation",
    "Recovered",
    "SpikeSeparation",
    "TrainingStep",
    "recover",
]
