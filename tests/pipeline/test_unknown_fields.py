"""A mistyped field of a study is answered with the one that was meant."""

import pytest

from brainleaks import InputError
from brainleaks.studies import load_study


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("drawz", "draws"),
        ("target.trainin", "training"),
        ("target.network.hiden", "hidden"),
        ("attacks.brainleaks-v1.iteration", "iterations"),
        ("judging.judge_stepz", "judge_steps"),
        ("evaluators.snn-conv.training.epoch", "epochs"),
    ],
)
def test_the_nearest_field_is_named(field, meant):
    with pytest.raises(InputError, match=rf"{field}: unknown field; did you mean {meant}\?$"):
        load_study("demo", (f"{field}=1",))


@pytest.mark.parametrize("field", ["attacks.brainleaks-v1.zzz", "target.iterations"])
def test_a_field_of_another_part_is_not_offered(field):
    with pytest.raises(InputError, match=rf"{field}: unknown field\.$"):
        load_study("demo", (f"{field}=1",))
