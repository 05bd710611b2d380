"""Pattern inversion against hand-worked cases, and on a network whose training data is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from sklearn.datasets import load_digits

from brainleaks import FastSigmoid, Target
from brainleaks.attacks import PatternInversion
from brainleaks.data.dataset import Samples
from brainleaks.data.encoding import RateCode
from brainleaks.networks import MLP, ConvNet, SpikingMLP
from brainleaks.training import Recipe, fit


def target_of(network):
    return Target(network, input_shape=(1, 4, 5), classes=6)


def invert(attack, target, labels, seed=3):
    return attack(target, torch.as_tensor(labels), generator=torch.Generator().manual_seed(seed))


def test_without_strength_it_is_the_ground():
    """The median over the first layer's units, blurred, its positive part, of the given mean."""
    network = MLP((1, 4, 5), 6, hidden=31)
    weights = network.fc1.weight.detach().numpy().reshape(31, 4, 5) + 0.02
    network.fc1.weight.data += 0.02
    found = invert(PatternInversion(strength=0, rate=0.2, blur=1.0), target_of(network), [0, 4])
    ground = gaussian_filter(np.median(weights, 0), 1.0, mode="nearest", radius=3).clip(0)
    expected = (0.2 * ground / ground.mean()).clip(1e-6, 1)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=1e-4, atol=1e-6)
    assert torch.equal(found[0], found[1])


def linear():
    """A network that is linear, with its filters; its first layer's weights are all positive."""
    torch.manual_seed(1)
    network = MLP((1, 4, 5), 6, hidden=31)
    network.fc1.weight.data.abs_()
    filters = torch.randn(6, 20)
    network.drive = lambda images: images.flatten(1) @ filters.T
    network.respond = lambda entry: (None, entry.unsqueeze(0))
    network.pull_back = lambda gradient: (gradient @ filters).unflatten(1, (1, 4, 5))
    return network, filters.double().numpy()


def ground_of(network):
    median = np.median(network.fc1.weight.detach().double().numpy(), 0)
    return 0.2 * median / median.mean()


def log_odds_of(image, filters):
    """Each class's, and their gradients by the image."""
    odds = softmax(filters @ image)
    rest = odds / (1 - odds)[:, None] * (1 - np.eye(6))
    return np.log(odds / (1 - odds)), filters - rest @ filters


@pytest.mark.parametrize("covariance", [False, True])
def test_one_look_departs_along_the_covariance_times_the_gradient(covariance):
    network, filters = linear()
    attack = PatternInversion(
        looks=1, strength=0.1, rate=0.2, enough=None, covariance=covariance, blur=0
    )
    found = invert(attack, target_of(network), [2, 5])
    ground = ground_of(network)
    _, gradient = log_odds_of(ground, filters)
    departs = gradient - gradient.mean(0)
    if covariance:
        departs = departs @ np.cov(network.fc1.weight.detach().double().numpy().T)
    theta = 0.1 * departs / departs.std(1, ddof=1, keepdims=True)
    expected = (ground * (1 + theta)).clip(1e-6, 1)[[2, 5]]
    np.testing.assert_allclose(found.flatten(1), expected, rtol=1e-3, atol=1e-5)


def test_a_class_stops_where_its_log_odds_are_enough():
    network, filters = linear()
    attack = PatternInversion(
        looks=30, strength=1.5, rate=0.2, enough=-1.5, covariance=False, blur=0
    )
    found = invert(attack, target_of(network), range(6)).flatten(1).double().numpy()
    at_first = log_odds_of(ground_of(network), filters)[0]
    reached = [log_odds_of(image, filters)[0][c] for c, image in enumerate(found)]
    assert min(at_first) < -1.5 <= min(reached)
    for c in np.flatnonzero(at_first >= -1.5):
        np.testing.assert_allclose(found[c], ground_of(network), rtol=1e-5)
    farther = invert(replace(attack, enough=None), target_of(network), range(6)).flatten(1)
    assert (farther.numpy() != found).any(1).all()


def test_a_convolution_gives_no_ground():
    network = ConvNet((1, 4, 5), 6, kernel=3, padding=1)
    found = invert(PatternInversion(strength=0, rate=0.2), target_of(network), [0])
    torch.testing.assert_close(found, torch.full_like(found, 0.2))


def test_probabilities_are_constant_in_time(small_snn):
    found = invert(PatternInversion(time_steps=9), target_of(small_snn), torch.arange(6))
    assert torch.equal(found, found[:1].expand_as(found))


def test_recovers_what_digits_look_like():
    """A network trained on real digits gives their mean images back, and each its own."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    torch.manual_seed(0)
    network = SpikingMLP((1, 8, 8), 10, hidden=200, beta=0.7, surrogate=FastSigmoid(40))
    recipe = Recipe(learning_rate=5e-4, batch_size=20, epochs=4, gradient_clip=1.0)
    samples, generator = Samples(images, labels), torch.Generator().manual_seed(0)
    fit(network, samples, recipe, encode=RateCode(15), generator=generator)
    target = Target(network, input_shape=(1, 8, 8), classes=10)
    attack = PatternInversion(time_steps=15, rate=0.3, blur=0.5)
    found = invert(attack, target, torch.arange(10))[0].flatten(1)
    means = torch.stack([images[labels == c].mean(0) for c in range(10)]).flatten(1)
    likeness = np.corrcoef(found, means)[:10, 10:]
    assert likeness.diagonal().mean() > 0.6
    own = means - means.mean(0)
    departures = np.corrcoef(found - found.mean(0), own)[:10, 10:]
    assert (departures.argmax(1) == np.arange(10)).mean() >= 0.9
