"""What a target costs to run."""

import copy
from typing import Any

from brainleaks.monitor import Monitor
from brainleaks.neuron import LIF
from brainleaks.pipeline import stages
from brainleaks.pipeline.cache import Artefact
from brainleaks.pipeline.pipeline import Pipeline, Trained

#: So many test samples are shown.
_SHOWN = 500


def spikes_a_sample(pipeline: Pipeline, target: Trained) -> float | None:
    """How many spikes the target fires for a test sample on average, a stand-in for energy.

    ``None`` where it has no neurons that this package computes, or some that it does not.
    """
    if target.facts.get("lowered") is False or not any(
        isinstance(layer, LIF) for layer in target.network.modules()
    ):
        return None
    test = pipeline.dataset.test
    key = {
        "network": target.key,
        "data": pipeline.dataset.fingerprint,
        "shown": _SHOWN,
        "environment": pipeline.environment("spikes"),
    }

    def make(monitor: Monitor) -> Artefact:
        network, some = copy.deepcopy(target.network), test.first(min(_SHOWN, len(test.labels)))
        common: Any = {"encode": pipeline.encode, "name": target.name, "seed": pipeline.seed}
        return Artefact({}, {"spikes": stages.count_spikes(network, some, **common)})

    return float(pipeline.cache.get_or_make("spikes:target", key, make).facts["spikes"])
