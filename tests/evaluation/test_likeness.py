"""Likeness against scikit-image, SciPy and cases worked out by hand."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.metrics import structural_similarity

from brainleaks.evaluation.likeness import (
    Reference,
    correlations,
    distinctness,
    expected_maximum,
    likeness,
    nearest_of_each_class,
    ssim,
)


def some_images(count, side=9, seed=0):
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


def reference(images, labels):
    return Reference(images, torch.tensor(labels), images.flatten(1))


def test_correlation_is_pearsons():
    a, b = some_images(2), some_images(3, seed=1)
    found = correlations(a, b)
    expected = stats.pearsonr(a[1].flatten(), b[2].flatten()).statistic
    assert float(found[1, 2]) == pytest.approx(expected, abs=1e-5)
    assert torch.equal(correlations(torch.ones(1, 1, 3, 3), b[:, :, :3, :3]), torch.zeros(1, 3))


def test_ssim_is_scikit_images():
    a, b = some_images(2, side=16)
    expected = structural_similarity(a[0].numpy(), b[0].numpy(), data_range=1)
    assert ssim(a, b) == pytest.approx(float(expected))
    assert ssim(a, a) == pytest.approx(1)


def test_ssim_of_images_smaller_than_its_window():
    a, b = some_images(2, side=6)
    expected = structural_similarity(a[0].numpy(), b[0].numpy(), data_range=1, win_size=5)
    assert ssim(a, b) == pytest.approx(float(expected))


@pytest.mark.parametrize("drawn", [1, 2, 4, 6])
def test_expected_maximum_counts_all_subsets(drawn):
    values = np.random.default_rng(3).normal(size=6)
    every = [max(chosen) for chosen in combinations(values, drawn)]
    assert expected_maximum(values, drawn) == pytest.approx(np.mean(every))


def test_nearest_of_each_class():
    images = some_images(4)
    found = nearest_of_each_class(images[:1], images, torch.tensor([0, 1, 1, 3]), 4)
    assert float(found[0, 0]) == pytest.approx(1)
    assert float(found[0, 2]) == -1
    assert float(found[0, 1]) == pytest.approx(float(correlations(images[:1], images[1:3]).max()))


def test_a_member_is_nearer_than_a_stranger_of_its_class():
    """Copies of members are identified and memorised; strangers of the class are not."""
    members = reference(some_images(6), [0, 0, 1, 1, 2, 2])
    held_out = reference(some_images(6, seed=1), [0, 0, 1, 1, 2, 2])
    labels = torch.tensor([0, 1, 2])
    copies = members.images[[1, 2, 5]]
    found = likeness(copies, copies.flatten(1), labels, members, held_out, 3)
    assert found["nearest"].tolist() == [1, 2, 5]
    assert found["identification"].tolist() == [1, 1, 1]
    assert found["reidentified"].tolist() == [1, 1, 1]
    assert torch.allclose(found["ssim_members"], torch.ones(3))
    assert torch.allclose(found["feature_distance_members"], torch.zeros(3), atol=1e-3)
    assert (found["memorisation"] > 0.5).all()
    strangers = held_out.images[[0, 2, 4]]
    again = likeness(strangers, strangers.flatten(1), labels, members, held_out, 3)
    assert (again["memorisation"] < -0.5).all()


def test_a_blank_is_identified_as_often_as_chance_would():
    members = reference(some_images(6), [0, 0, 1, 1, 2, 2])
    blank = torch.zeros(1, 1, 9, 9)
    found = likeness(blank, blank.flatten(1), torch.tensor([1]), members, members, 3)
    assert float(found["identification"]) == 0.5


def test_a_class_without_held_out_samples_has_none_to_resemble():
    members = reference(some_images(4), [0, 0, 1, 1])
    held_out = reference(some_images(1), [0])
    one = some_images(1, seed=2)
    found = likeness(one, one.flatten(1), torch.tensor([1]), members, held_out, 2)
    assert found["ssim_held_out"].isnan().all()
    assert found["memorisation"].isnan().all()
    assert found["ssim_members"].isfinite().all()


def test_distinctness_is_the_lead_over_the_nearest_other_class():
    by_class = torch.tensor([[0.9, 0.5, 0.7], [0.9, 0.5, 0.7], [0.2, -0.4, -0.1]])
    found = distinctness(by_class, torch.tensor([0, 1, 2]))
    assert found.tolist() == pytest.approx([0.2, -0.4, -0.3])
