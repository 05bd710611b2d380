"""Controls: what they keep of a reconstruction, and what they destroy."""

import torch

from brainleaks.data.dataset import Samples
from brainleaks.evaluation.controls import class_means, nearest_known, noise


def test_noise_keeps_each_ones_pixels_and_their_course_over_time():
    spikes = (torch.rand(5, 3, 1, 4, 6) < 0.3).float()
    mixed = noise(spikes, spiking=True, seed=0)
    assert mixed.shape == spikes.shape
    for i in range(3):
        courses, before = mixed[:, i].flatten(1).T, spikes[:, i].flatten(1).T
        assert sorted(courses.tolist()) == sorted(before.tolist())
        assert not torch.equal(courses, before)
    images = torch.rand(3, 1, 4, 6)
    assert torch.equal(
        noise(images, spiking=False, seed=0).flatten(1).sort(1).values,
        images.flatten(1).sort(1).values,
    )


def test_class_means_of_images():
    samples = Samples(torch.rand(4, 1, 2, 2), torch.tensor([1, 0, 1, 1]))
    means = class_means(samples, 3, None)
    assert torch.allclose(means[1], samples.inputs[[0, 2, 3]].mean(0))
    assert torch.equal(means[2], torch.zeros(1, 2, 2))
    assert class_means(samples, 3, 7).shape == (7, 3, 1, 2, 2)


def test_class_means_of_recordings_are_firing_probabilities(recordings):
    trains, dense = recordings
    means = class_means(Samples(trains, torch.tensor([0, 1, 0])), 2, 4)
    assert means.shape == (4, 2, 1, 3, 4)
    assert torch.allclose(means[:, 0], dense[:4, [0, 2]].mean(1))
    assert torch.allclose(means[:, 1], dense[:4, 1])


def test_nearest_known_class():
    means = torch.tensor([0.0, 5.0, 1.0, 6.0]).view(4, 1, 1, 1)
    assert nearest_known(means, [0, 1], [2, 3]) == [0, 1]
