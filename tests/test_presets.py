"""The main job, in full, on the real faces."""

import pytest

from brainleaks.study import load_study, run_study


@pytest.mark.data
def test_faces_snn(real_data):
    """The target learns, and both attacks convince the evaluator; the draws alone are fewer."""
    outcome = run_study(
        load_study("faces-snn", ("draws=2", "judging=null")), seed=0, data_dir=real_data
    )
    assert outcome.target.facts["test_accuracy"] >= 0.93
    assert outcome.evaluators[0].facts["test_accuracy"] >= 0.9
    v1, v2 = (item.judgements["snn-conv"].metrics for item in outcome.reconstructions)
    assert v1["attack_accuracy"] >= 0.95
    assert v2["attack_accuracy"] >= 0.75
