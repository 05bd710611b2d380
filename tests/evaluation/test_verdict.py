"""The levels of the verdict, on scores whose answer is plain."""

import numpy as np
import pytest

from brainleaks.evaluation.class_content import RECOGNISABLE, bar, claims
from brainleaks.evaluation.controls import CONTROLS
from brainleaks.evaluation.levels import LEVELS, Claim, highest, scale
from brainleaks.evaluation.verdict import decide


def scores(
    panel, identification, likeness=0.9, memorisation=0.0, classes=10, spread=0.02, distinctness=0.1
):
    """One value a class about each mean."""
    rng = np.random.default_rng(0)
    means = {
        "panel": panel,
        "identification": identification,
        "blurred_correlation_members": likeness,
        "memorisation": memorisation,
    }
    found = {k: list(mean + spread * rng.standard_normal(classes)) for k, mean in means.items()}
    return found | {"distinctness": list(distinctness + spread / 5 * rng.standard_normal(classes))}


def controls(panel=0.1, identification=0.5, likeness=0.3):
    beside = {control: scores(panel, identification, likeness) for control in CONTROLS}
    return beside | {"class-mean": scores(1.0, 1.0, 1.0, spread=0.0)}


CLEAR = scores(0.9, 0.95)


def answers(found, beside=None, judges=4, classes=10):
    """By level."""
    attacks = found if "attack" in found else {"attack": found}
    beside = beside or dict.fromkeys(attacks, controls())
    claimed = claims(attacks, beside, sound_judges=judges, classes=classes)
    return {claim["level"]: claim for claim in claimed}


def shown(*args, **options):
    return {level: claim["shown"] for level, claim in answers(*args, **options).items()}


def test_what_resembles_its_class_beyond_every_control_is_class_content():
    assert shown(CLEAR) == {1: True, 2: True, 4: False}
    assert answers(CLEAR)[2]["attack"] == "attack"


def test_what_only_convinces_classifiers_is_a_signature():
    """Patterns that nobody would recognise: likeness decides level 2, not judges."""
    assert shown(scores(0.9, 0.95, likeness=0.5)) == {1: True, 2: False, 4: False}
    assert shown(scores(0.9, 0.5, likeness=0.9)) == {1: True, 2: False, 4: False}


def test_what_is_like_its_controls_is_nothing():
    assert shown(scores(0.1, 0.5, likeness=0.3)) == {1: False, 2: False, 4: False}


def test_likeness_must_exceed_that_of_each_control():
    """Faces are all alike: what resembles a class may resemble any other."""
    beside = controls(likeness=0.9)
    assert shown(CLEAR, {"attack": beside})[2] is None


def test_likeness_is_a_share_of_the_class_means():
    beside = controls()
    beside["class-mean"] = scores(1.0, 1.0, 0.5, spread=0.0)
    found = answers(scores(0.9, 0.95, likeness=0.45), {"attack": beside})[2]
    assert found["shown"] is True
    assert found["value"] == pytest.approx(0.45 / 0.5, abs=0.03)
    assert found["low"] > RECOGNISABLE


def test_blobs_that_resemble_every_class_are_no_class_content():
    """They correlate with their class as much as with the others."""
    blobs = scores(0.9, 0.95, distinctness=0.03)
    assert shown(blobs) == {1: True, 2: False, 4: False}
    assert "from other classes is 0.3" in answers(blobs)[2]["opposes"][0]
    assert shown(scores(0.9, 0.95, distinctness=0.078))[2] is None
    beside = controls()
    beside["class-mean"]["distinctness"] = [0.0] * 10
    found = answers(blobs, {"attack": beside})[2]
    assert "do not resemble the training samples" in found["opposes"][0]


def test_likeness_needs_class_means_that_resemble_the_data():
    beside = controls() | {"class-mean": scores(1.0, 1.0, 0.0, spread=0.0)}
    found = answers(CLEAR, {"attack": beside})[2]
    assert found["shown"] is None
    assert "do not resemble the training samples" in found["opposes"][0]


def test_single_samples_are_nearer_than_held_out_ones():
    assert shown(scores(0.9, 0.95, memorisation=0.3))[4] is True


def test_parts_that_differ_by_themselves_are_no_memory():
    """The target that never saw the class shows the same difference."""
    beside = controls()
    beside["without-class"]["memorisation"] = [0.3] * 10
    assert shown(scores(0.9, 0.95, memorisation=0.3), {"attack": beside})[4] is False


def test_without_held_out_samples_level_4_is_not_decided():
    found = answers(CLEAR | {"memorisation": [float("nan")] * 10})[4]
    assert found["shown"] is None
    assert found["opposes"] == ["There are no held-out samples to compare with."]


def test_the_evidence_is_that_of_the_nearest_reconstructions():
    """Not of the attack with the largest excess."""
    both = {"attack": scores(0.99, 1.0, likeness=0.85), "nearer": scores(0.8, 0.9, likeness=0.95)}
    found = answers(both)
    assert {found[level]["attack"] for level in (1, 2, 4)} == {"nearer"}


def test_too_wide_an_interval_decides_neither_way():
    assert shown(scores(0.45, 0.85, spread=1.0))[1] is None


def test_judges_decide_level_1_alone():
    found = answers(CLEAR, judges=1)
    assert found[1]["shown"] is None
    assert found[2]["shown"] is True
    assert found[1]["opposes"][0].startswith("Only 1 of the judges classifies real data well")
    assert "Only 2 of the judges classify" in answers(CLEAR, judges=2)[1]["opposes"][0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"classes": 4}, "There are 4 classes, too few to compute intervals over; 5 reconstr"),
        ({"beside": {"attack": {"noise": CLEAR}}}, "untrained, shuffled-labels"),
    ],
)
def test_what_every_level_lacks_is_said(options, reason):
    found = answers(CLEAR, **options)
    assert {claim["shown"] for claim in found.values()} == {None}
    assert all(reason in claim["opposes"][0] for claim in found.values())


def rows(found, count=8, classes=3):
    """As many reconstructions of few classes."""
    rng = np.random.default_rng(1)
    return {
        key: (np.mean(values) + 0.01 * rng.standard_normal((count, classes))).tolist()
        for key, values in found.items()
    }


def few(found, classes, **beside):
    """The answers where classes are few, in each form that a control is measured in."""
    asked = {c: rows(v, classes=classes) for c, v in controls(**beside).items()}
    asked["class-mean"] = {key: [[1.0] * classes] for key in found} | {
        "distinctness": [[0.1] * classes]
    }
    if classes < 4:
        del asked["without-class"]
    attacks = {"attack": rows(found, classes=classes)}
    return answers(attacks, {"attack": asked}, classes=classes)


def test_few_classes_are_decided_over_reconstructions():
    found = few(CLEAR, 3)
    assert [found[level]["shown"] for level in (1, 2, 4)] == [None, True, None]
    assert found[1]["opposes"][0].startswith("There are 3 classes; with fewer than 5, classifiers")
    assert found[4]["opposes"] == [
        "There are 3 classes, too few for the control without the class."
    ]
    assert few(scores(0.9, 0.95, likeness=0.4), 2)[2]["shown"] is False
    assert few(CLEAR, 3, likeness=0.9)[2]["shown"] is None
    assert few(scores(0.9, 0.95, memorisation=0.3), 4)[4]["shown"] is True


def test_an_attack_that_draws_nothing_decides_nothing_of_few_classes():
    """It makes one reconstruction, whose interval nobody can tell."""
    asked = {c: rows(v, 1) for c, v in controls().items()}
    sure = {"attack": rows(CLEAR, 1)}
    assert answers(sure, {"attack": asked}, classes=3)[2]["shown"] is None


def test_reasons_say_the_same_as_their_numbers():
    """No excess is negative, and no reason against is counted for."""
    found = answers(scores(0.9, 0.3, likeness=0.9))[2]
    assert [text[:25] for text in found["opposes"]] == ["The identification of att"]
    assert "is below that of a negative control (difference to" in found["opposes"][0]
    assert all("exceeds" in text or "at least" in text for text in found["supports"])


def test_bar_is_half_way_from_chance_to_certainty():
    assert bar(10) == pytest.approx(0.55)
    assert bar(2) == pytest.approx(0.75)


def claim(level, shown, sentence="Said.", attack="lira", value=0.2):
    return Claim(
        kind="kind", level=level, attack=attack, shown=shown, measure="share", value=value,
        low=value / 2, high=2 * value, sentence=sentence, supports=[], opposes=[],
    )  # fmt: skip


def test_every_level_has_its_answer():
    rungs = scale([claim(1, True), claim(2, None), claim(2, False), claim(4, False)])
    assert [rung["level"] for rung in rungs] == list(LEVELS)
    assert [rung["status"] for rung in rungs] == ["yes", "inconclusive", "not tested", "no"]
    assert rungs[0]["value"] == 0.2
    assert rungs[2]["value"] is None


def test_of_several_kinds_that_agree_the_strongest_speaks():
    weak, strong = claim(4, True, "weak", value=0.1), claim(4, True, "strong", value=0.4)
    assert scale([weak, strong, claim(4, False, "none", value=0.9)])[3]["sentence"] == "strong"


@pytest.mark.parametrize(
    ("shown", "level", "word"),
    [
        ({1: True, 2: False, 4: False}, 1, "no leak shown"),
        ({1: True, 2: True, 3: False, 4: False}, 2, "leak"),
        ({1: False, 2: False, 3: True}, 3, "leak"),
        ({1: True, 2: True, 3: None, 4: True}, 4, "leak"),
        ({1: False, 2: False, 4: False}, 0, "no leak shown"),
        ({1: True, 2: None, 4: False}, 1, "inconclusive"),
        ({1: False, 2: False, 3: None}, 0, "inconclusive"),
        ({3: False}, 0, "no leak shown"),
        ({1: None, 2: None, 4: None}, None, "inconclusive"),
        ({}, None, "inconclusive"),
    ],
)
def test_the_verdict_is_the_highest_level(shown, level, word):
    found = decide([claim(n, yes) for n, yes in shown.items()])
    assert (found["level"], found["verdict"]) == (level, word)
    assert highest(found["levels"]) == level
    assert found["sentence"].lower().startswith(word)


def test_the_headline_says_of_whom():
    content = claim(2, True, "A shows what each class looks like.", attack="a")
    unseen = claim(3, False, "Nothing shows that it was trained on these.")
    seen = claim(3, True, "Training samples can be recognised.")
    assert decide([content, unseen])["sentence"] == (
        "Leak (level 2 of 4, recognisable class content): A shows what each class looks like. "
        "Nothing shows that it was trained on these."
    )
    found = decide([content, seen])
    assert found["sentence"] == (
        "Leak (level 3 of 4, membership): Training samples can be recognised."
    )
    assert found["attack"] == "lira"


def test_what_was_not_decided_is_a_reason():
    lacking = claim(2, None, "Not decided.") | {"value": None, "opposes": ["Too few classes."]}
    found = decide([lacking, claim(4, None, "Not decided either.")], ["A remark."])
    assert found["reasons"] == ["Too few classes.", "Not decided either.", "A remark."]
