"""The version of each stage: what is cached under another version is not used.

Raise a version in the commit that changes what its stage computes, whichever file the change is in:
a network, the neuron, an encoding, a shared part of the attacks. Golden values in the tests fail
where a stage computes something else under the same version. Each attack has its own ``version``.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from brainleaks.attacks import Attack, WithinPrior
from brainleaks.attacks.membership.user_inference import UserInference

VERSIONS = {
    "frames": 1,  # reading events and cutting them into frames
    "train": 1,  # a network's first weights, its training, and its accuracy
    "reinitialise": 1,  # the weights of an external network in another order
    "prior": 1,  # a generative prior
    "judge": 1,  # a judge of the panel
    "score": 3,  # what the panel and the likeness say of reconstructions
    "reference-scores": 1,  # what reference networks answer about candidates
    "protocol": 1,  # the metrics of the paper's protocol
    "spikes": 1,  # how many spikes the target fires for a sample
}


def of_defences(defences: Sequence[Any]) -> list[dict[str, Any]]:
    """The settings of defences and their versions, which determine what they do."""
    return [asdict(defence) | {"version": defence.version} for defence in defences]


def of_attack(attack: Attack) -> dict[str, int]:
    """The versions that determine what an attack computes."""
    versions: dict[str, int] = {attack.attack: attack.version}
    if isinstance(attack, WithinPrior):
        versions |= of_attack(attack.search)
    if isinstance(attack, UserInference):
        versions |= of_attack(attack.by)
    return versions
