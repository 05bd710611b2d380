"""The judges of the panel: they recognise real data, and nothing in noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from brainleaks.data import Samples, SpikeTrains, digits
from brainleaks.data.encoding import RateCode
from brainleaks.data.parts import parts
from brainleaks.evaluation.panel import (
    TAKES,
    batch_size,
    evenly,
    features,
    new_judge,
    recognition,
    references,
    scores,
    train,
)
from brainleaks.networks.blurred import BlurredMLP, standardise

#: The judges of images.
KINDS = [name for name, signals in TAKES.items() if "image" in signals]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return digits.load(tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def shares(dataset):
    return parts(dataset)


@pytest.fixture(scope="module")
def panel(dataset, shares):
    judges = [new_judge(name, shares.learn, dataset, seed=0) for name in KINDS]
    for judge in judges:
        train(judge, steps=150, seed=0)
    return judges


@pytest.mark.parametrize("position", range(len(KINDS)), ids=KINDS)
def test_each_recognises_real_digits(panel, shares, position):
    assert recognition(panel[position], shares.held_out, seed=0) > 0.6


def test_they_are_different_and_have_seeds_of_their_own(dataset, shares):
    judges = [new_judge("ann-conv", shares.learn, dataset, seed=seed) for seed in (0, 0, 1)]
    first, same, other = (judge.network.fc1.weight for judge in judges)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_batches_are_small_enough_for_memory(dataset, shares):
    """DVS128's recordings of 120 frames: a step on three of them takes about 2 GB."""
    digits_ = new_judge("snn-conv", shares.learn, dataset, seed=0)
    assert batch_size(digits_) == len(shares.learn.labels) // 50
    frames = np.arange(0, 1201 * 120 + 1)
    many = SpikeTrains(np.zeros(1201 * 120, np.uint16), frames, frames[::120], (1, 128, 128))
    samples = Samples(many, torch.arange(1201) % 10)
    recorded = replace(dataset, train=samples)
    assert batch_size(new_judge("snn-conv", samples, recorded, seed=0)) == 3


def test_spikes_and_images_of_the_same_digits_are_seen_alike(panel, shares):
    digits_, labels = shares.held_out.inputs[:40], shares.held_out.labels[:40]
    spikes = RateCode(50)(digits_, torch.Generator().manual_seed(0))
    real = references(panel, shares.members, shares.held_out)
    for values in (digits_, spikes):
        found = scores(panel, values, labels, real, seed=0)
        assert set(map(len, found.values())) == {40}
        for judge in KINDS:
            assert (found[f"named:{judge}"] == labels).double().mean() > 0.6
        assert found["identification"].mean() > 0.9


def test_scores_do_not_depend_on_contrast(panel, shares):
    digits_, labels = shares.held_out.inputs[:10], shares.held_out.labels[:10]
    real = references(panel, shares.members, shares.held_out)
    plain = scores(panel, digits_, labels, real, seed=0)
    faint = scores(panel, digits_ * 0.1 + 5, labels, real, seed=0)
    for key in ("named:ann-conv", "named:blurred-mlp", "named:snn-conv"):
        assert torch.equal(plain[key], faint[key])
    assert torch.allclose(plain["ssim_members"], faint["ssim_members"], atol=1e-4)


def test_features_are_what_the_last_layer_is_given(panel, shares):
    (judge,) = (judge for judge in panel if judge.name == "ann-conv")
    some = shares.held_out.inputs[:5]
    found = features(panel, some)
    with torch.no_grad():
        assert torch.allclose(judge.network.fc1(found), judge.network(some), atol=1e-5)


def test_blur_keeps_flat_images_and_spreads_a_point():
    judge = BlurredMLP((1, 16, 16), 3)
    flat = torch.full((1, 1, 16, 16), 0.7)
    assert torch.allclose(judge.blur(flat), flat)
    point = torch.zeros(1, 1, 16, 16)
    point[..., 8, 8] = 1
    blurred = judge.blur(point)
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    assert float(blurred.max()) == float(blurred[..., 8, 8]) < 0.3
    assert torch.allclose(blurred, blurred.transpose(2, 3))


def test_standardise():
    rows = standardise(torch.tensor([[1.0, 3.0], [5.0, 5.0]]))
    assert torch.allclose(rows, torch.tensor([[-1.0, 1.0], [0.0, 0.0]]))


def test_the_judge_by_warping_compares_with_a_few_of_each_class(dataset, shares):
    streamed = replace(dataset, streamed=True)
    judge = new_judge("nearest-dtw", shares.members, streamed, seed=0)
    assert torch.bincount(judge.reference.labels).tolist() == [50] * 10
    assert recognition(judge, shares.held_out, seed=0) > 0.9


def test_evenly_spaced_samples():
    labels = torch.tensor([0, 1, 0, 0, 1, 0, 0, 0])
    assert evenly(labels, 3).tolist() == [0, 3, 6, 1, 4]
