"""What the cache keeps, one file a stage: trained weights, a reconstruction, a judgement.

A stage is cached under the hash of its settings and of its version
(:mod:`brainleaks.pipeline.versions`).
"""

from brainleaks.pipeline.stages.attack import attack_all
from brainleaks.pipeline.stages.judgement import judge_all
from brainleaks.pipeline.stages.panel import score_all, train_judge
from brainleaks.pipeline.stages.prior import new_prior, train_prior
from brainleaks.pipeline.stages.spikes import count_spikes
from brainleaks.pipeline.stages.training import measure, new_network, train

__all__ = [
    "attack_all",
    "count_spikes",
    "judge_all",
    "measure",
    "new_network",
    "new_prior",
    "score_all",
    "train",
    "train_judge",
    "train_prior",
]
