"""The verdict, on scores whose verdict is plain."""

import numpy as np
import pytest

from brainleaks.evaluation.controls import CONTROLS
from brainleaks.evaluation.verdict import Claim, bar, verdict
from brainleaks.evaluation.verdict import decide as of_run


def scores(panel, identification, memorisation=0.0, classes=10, spread=0.05):
    """One value a class about each mean."""
    rng = np.random.default_rng(0)
    values = {"panel": panel, "identification": identification, "memorisation": memorisation}
    return {key: list(mean + spread * rng.standard_normal(classes)) for key, mean in values.items()}


def controls(panel=0.1, identification=0.5):
    return {"attack": {control: scores(panel, identification) for control in CONTROLS}}


def decide(found, beside=None, judges=4, classes=10):
    return verdict({"attack": found}, beside or controls(), sound_judges=judges, classes=classes)


def test_what_exceeds_every_control_in_both_is_a_leak():
    found = decide(scores(0.9, 0.95))
    assert found["verdict"] == "leak"
    assert found["attack"] == "attack"
    assert found["content"] == "class-typical"


def test_a_leak_of_members_is_nearer_to_them_than_to_strangers():
    assert decide(scores(0.9, 0.95, memorisation=0.3))["content"] == "members"


def test_parts_that_differ_by_themselves_are_no_memory():
    """The target that never saw the class shows the same difference."""
    beside = controls()
    beside["attack"]["without-class"]["memorisation"] = [0.3] * 10
    assert decide(scores(0.9, 0.95, memorisation=0.3), beside)["content"] == "class-typical"


def test_a_pattern_that_only_convinces_classifiers_is_no_leak():
    assert decide(scores(0.9, 0.5))["verdict"] == "no leak shown"


def test_what_is_like_its_controls_is_no_leak():
    found = decide(scores(0.1, 0.5))
    assert found["verdict"] == "no leak shown"
    assert found["attack"] is found["content"] is None


def test_the_positive_control_is_not_to_be_exceeded():
    beside = controls()
    beside["attack"]["class-mean"] = scores(1.0, 1.0)
    assert decide(scores(0.9, 0.95), beside)["verdict"] == "leak"


def test_too_wide_an_interval_decides_neither_way():
    assert decide(scores(0.45, 0.85, spread=1.0))["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"judges": 2}, "2 of the judges classify real"),
        ({"judges": 1}, "Only 1 of the judges classifies real"),
        ({"classes": 4}, "There are 4 classes"),
        ({"beside": {"attack": {"noise": scores(0.1, 0.5)}}}, "untrained, shuffled-labels"),
    ],
)
def test_what_a_verdict_lacks_is_said(options, reason):
    found = decide(scores(0.9, 0.95), **options)
    assert found["verdict"] == "inconclusive"
    assert "not enough evidence" in found["sentence"]
    assert reason in found["reasons"][0]


def test_bar_is_half_way_from_chance_to_certainty():
    assert bar(10) == pytest.approx(0.55)
    assert bar(2) == pytest.approx(0.75)


def membership(*, shown, sentence="Training samples can be recognised."):
    bounds = {"value": 0.2, "low": 0.1, "high": 0.3}
    return Claim(
        kind="membership", level=3, attack="lira", shown=shown, sentence=sentence, **bounds
    )


def test_the_headline_says_of_whom_where_membership_was_decided():
    leak = decide(scores(0.9, 0.95))
    alone = of_run(leak, [])["sentence"]
    assert alone.endswith("No evidence that individual samples were memorised.")
    found = of_run(leak, [membership(shown=True)])["sentence"]
    assert found.startswith("Leak: attack reconstructs what each class looks like.")
    assert found.endswith("Training samples can be recognised.")
    assert "No evidence" not in found
    reasons = of_run(leak, [membership(shown=True)])["reasons"]
    assert reasons == leak["reasons"]  # what the headline says is not said twice
    assert (
        "Not decided." in of_run(leak, [membership(shown=None, sentence="Not decided.")])["reasons"]
    )
    unseen = membership(shown=False, sentence="Nothing shows that it was trained on these.")
    assert of_run(leak, [unseen])["sentence"].endswith(
        "Nothing shows that it was trained on these."
    )
    assert of_run(leak, [membership(shown=None)])["sentence"] == alone


def test_membership_alone_is_a_leak():
    weak = decide(scores(0.1, 0.5))
    found = of_run(weak, [membership(shown=True)])
    assert found["verdict"] == "leak"
    assert found["sentence"] == "Leak: Training samples can be recognised."
    assert of_run(weak, [membership(shown=False)])["verdict"] == "no leak shown"
