"""The judge of the main job, trained in full while another worker trains the target."""

import pytest

from brainleaks.pipeline.loading import load_dataset
from brainleaks.pipeline.pipeline import Pipeline


@pytest.mark.data
def test_evaluator_learns(real_data, cache, study):
    pipeline = Pipeline(study, 0, load_dataset(study, real_data, cache), "cpu", cache)
    trained = pipeline.train("snn-conv", study.evaluators["snn-conv"])
    assert trained.facts["test_accuracy"] >= 0.9
