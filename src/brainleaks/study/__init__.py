"""Studies: typed study files, the store of their stages, and the runner."""

from brainleaks.study.config import Study, load_study, preset_names
from brainleaks.study.runner import Outcome, run_study
from brainleaks.study.store import Store

__all__ = ["Outcome", "Store", "Study", "load_study", "preset_names", "run_study"]
