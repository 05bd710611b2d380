"""The pipeline: the stages of a study, each cached under what determines it."""

from brainleaks.pipeline.cache import Cache
from brainleaks.pipeline.run import Outcome, run_study

__all__ = ["Cache", "Outcome", "run_study"]
