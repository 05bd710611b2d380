"""Studies: what is trained, attacked and judged, and with which settings, as typed YAML."""

from brainleaks.studies.config import Study
from brainleaks.studies.reading import load_study, preset_names

__all__ = ["Study", "load_study", "preset_names"]
