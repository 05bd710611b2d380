"""Recovered batches against their private ones, by hand."""

import pytest
import torch

from brainleaks.evaluation.batches import Batch, assigned, claim, compare, over_batches


def batch(inputs, labels, loose=None):
    pictures = inputs.float().mean(0)
    vectors = inputs.flatten(0, 1) if loose is None else loose
    return Batch(inputs, torch.tensor(labels), pictures, vectors)


def private(samples=3, steps=4):
    draw = torch.Generator().manual_seed(0)
    return torch.rand(steps, samples, 1, 6, 6, generator=draw) < 0.4


def test_what_is_recovered_whole_is_whole_in_whatever_order():
    true = private()
    known = torch.cat([torch.rand(5, 1, 6, 6), true.float().mean(0)])
    found = compare(
        batch(true, [4, 5, 6]), batch(true[:, [2, 0, 1]], [6, 4, 9]), known, torch.arange(5, 8)
    )
    assert found["vectors"].tolist() == [1, 1, 1]
    assert found["bits"].tolist() == [1, 1, 1]
    assert found["label"].tolist() == [1, 0, 1]
    assert found["reidentified"].tolist() == [1, 1, 1]
    assert found["ssim"].tolist() == pytest.approx([1, 1, 1])


def test_a_part_by_hand():
    """Of one sample, two vectors of four at their places; of the other nothing; one silent step."""
    true = private(2)
    true[3, 0] = False  # silent: not counted among the vectors
    got = true[:, :1].clone()
    got[2] = ~got[2]
    found = compare(
        batch(true, [0, 1]), batch(got, [0]), true.float().mean(0), torch.tensor([0, 1])
    )
    assert found["vectors"].tolist() == pytest.approx([2 / 3, 0])
    assert found["bits"].tolist() == pytest.approx([3 / 4, 0])
    assert found["label"].tolist() == [1, 0]
    assert found["ssim"][1] == 0


def test_nothing_recovered_is_zero_and_black():
    true = private()
    none = Batch(true[:, :0], torch.tensor([]), true[0, :0].float(), true[0, :0])
    found = compare(batch(true, [0, 1, 2]), none, true.float().mean(0), torch.arange(3))
    assert all(float(value.sum()) == 0 for value in found.values())
    assert not assigned(true[0].float(), true[0, :0].float()).any()


def test_certain_batches_keep_the_uncertainty_of_their_number():
    """Clopper and Pearson's lower end of 20 successes in 20 is .025 ** (1 / 20)."""
    found = over_batches(torch.ones(20, 8))
    assert found["value"] == found["high"] == 1
    assert found["low"] == pytest.approx(0.8316, abs=1e-4)
    assert over_batches(torch.zeros(20, 8))["high"] == pytest.approx(1 - 0.8316, abs=1e-4)
    varied = over_batches(torch.arange(20.0).unsqueeze(1) / 20)
    assert varied["low"] < varied["value"] < varied["high"]


def reached(value, low, high):
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("own", "shown"), [((0.9, 0.8, 1), True), ((0.4, 0.1, 0.7), None), ((0.05, 0, 0.1), False)]
)
def test_level_4_needs_more_than_the_control(own, shown):
    measures = {"reidentified": reached(*own), "vectors": reached(1, 0.8, 1)}
    controls = {"other-batch": {"reidentified": reached(0.05, 0, 0.2)}}
    evidence = {"some-attack": {"measures": measures, "controls": controls}}
    found = claim(evidence, "the sum over 3 devices", 8, 20)
    assert found["shown"] is shown
    assert found["level"] == 4
    assert ("obtains 90%" in found["sentence"]) is (shown is True)
    assert ("Someone who sees the sum over 3 devices obtains" in found["sentence"]) is (
        shown is True
    )
    assert claim({}, "the gradient", 8, 20)["shown"] is None
