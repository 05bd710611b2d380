"""The main job, in full, on the real faces."""

import pytest

from brainleaks.pipeline import run_study


@pytest.mark.data
def test_attacks_convince_the_evaluator(real_data, cache, study):
    outcome = run_study(study, seed=0, data_dir=real_data, cache=cache)
    assert outcome.target.facts["test_accuracy"] >= 0.93
    v1, v2 = (item.judgements["snn-conv"].metrics for item in outcome.reconstructions)
    assert v1["attack_accuracy"] >= 0.95
    assert v2["attack_accuracy"] >= 0.75
