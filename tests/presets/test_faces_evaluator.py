"""The judge of the main job, trained in full while another worker trains the target."""

import pytest

from brainleaks.study.loading import load_dataset
from brainleaks.study.road import Road


@pytest.mark.data
def test_evaluator_learns(real_data, store, study):
    road = Road(study, 0, load_dataset(study, real_data, store), "cpu", store)
    trained = road.train("snn-conv", study.evaluators["snn-conv"])
    assert trained.facts["test_accuracy"] >= 0.9
