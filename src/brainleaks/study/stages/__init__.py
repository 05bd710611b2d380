"""What the store keeps, one file a stage: trained weights, a reconstruction, a judgement.

A stage is stored under the hash of its settings and of the source of its own file and of all that
this file imports; a change elsewhere in the package leaves what was computed valid.
"""

from brainleaks.study.stages.attack import attack_all
from brainleaks.study.stages.judgement import judge_all
from brainleaks.study.stages.panel import score_all, train_judge
from brainleaks.study.stages.prior import new_prior, train_prior
from brainleaks.study.stages.training import measure, new_network, train

__all__ = [
    "attack_all",
    "judge_all",
    "measure",
    "new_network",
    "new_prior",
    "score_all",
    "train",
    "train_judge",
    "train_prior",
]
