"""The beginning of a network: its initial weights, recovered from the trained ones."""

from brainleaks.attacks.beginning.draws import Drawn, Uniform
from brainleaks.attacks.beginning.places import Redrawn
from brainleaks.attacks.beginning.recover import Beginning, recover_initial_weights, sentences

__all__ = [
    "Beginning",
    "Drawn",
    "Redrawn",
    "Uniform",
    "recover_initial_weights",
    "sentences",
]
