"""Pattern inversion against hand-worked cases, and on a network whose training data is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from sklearn.datasets import load_digits
from torch import nn

from brainleaks import FastSigmoid, Target
from brainleaks.attacks import PatternInversion
from brainleaks.data.dataset import Samples
from brainleaks.data.encoding import RateCode, as_images
from brainleaks.monitor import Monitor
from brainleaks.networks import MLP, ConvNet, SpikingConvNet, SpikingMLP
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


class Window(nn.Module):
    """Classes differ by what a window of the image holds; the rest of it changes nothing."""

    spiking = False
    activations = 100

    def __init__(self, patterns, rows):
        super().__init__()
        self.patterns, self.rows = nn.Parameter(patterns), rows

    def forward(self, images):
        seen = images[:, 0, self.rows].flatten(1)
        return seen @ self.patterns.T


def test_a_network_without_a_first_layer_is_read_through_all_of_it():
    """The ground lies where gradients depart, and a class departs along its mean gradient."""
    torch.manual_seed(0)
    patterns = torch.randn(4, 5 * 14)
    network = Window(patterns, slice(4, 9))
    target = Target(network, input_shape=(1, 14, 14), classes=4)
    flat = invert(PatternInversion(departure=0), target, [0, 1])[:, 0]
    assert torch.equal(flat[0], flat[1])  # without a departure it is the ground
    spread, logits = torch.zeros(14, 14), 0.05 * patterns.sum(1)
    gradients = []  # of the log odds: the class's pattern less a mean of the others'
    for c in range(4):
        others = torch.arange(4) != c
        gradients.append(patterns[c] - logits[others].softmax(0) @ patterns[others])
    departures = torch.stack(gradients) - torch.stack(gradients).mean(0)
    spread[4:9] = departures.square().mean(0).view(5, 14)
    wide = torch.tensor(gaussian_filter(spread.numpy(), 2.0, mode="nearest", radius=6))
    expected = (wide / wide.max()) ** 1.5
    torch.testing.assert_close(flat[0] / flat[0].max(), expected, rtol=1e-3, atol=1e-4)
    found = invert(PatternInversion(blur=0), target, range(4))[:, 0]
    departed = ((found / flat[0] - 1)[:, 4:9]).flatten(1)
    wanted = patterns - patterns.mean(0)
    for own, pattern in zip(departed, wanted, strict=True):
        assert np.corrcoef(own, pattern)[0, 1] > 0.95
    assert float(flat.mean()) == pytest.approx(PatternInversion().rate, rel=1e-3)


@pytest.mark.parametrize("spiking", [False, True])
def test_convolutions_give_back_what_digits_look_like(spiking):
    """Trained on real digits, against the same network with other weights."""
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    kind, settings = ConvNet, {}
    if spiking:
        kind, settings = SpikingConvNet, {"beta": 0.8, "surrogate": FastSigmoid(25)}
    network = kind((1, 8, 8), 10, kernel=3, padding=1, **settings)
    target = Target(network, input_shape=(1, 8, 8), classes=10)
    means = np.stack([images[labels == c].mean(0).flatten() for c in range(10)])

    def alike():
        attack = PatternInversion(time_steps=10, rate=0.3, blur=0.5)
        found = invert(attack, target, range(10))
        found = (found.mean(0) if spiking else found).flatten(1)
        table = np.corrcoef(np.concatenate([found.numpy(), means]))[:10, 10:]
        return table.diagonal().mean(), (table.argmax(1) == np.arange(10)).mean()

    before, _ = alike()
    recipe = Recipe(learning_rate=3e-3, batch_size=30, epochs=6, gradient_clip=1.0)
    encode = RateCode(10) if spiking else as_images
    fit(network, Samples(images, labels), recipe, encode=encode, generator=torch.Generator())
    target = Target(network, input_shape=(1, 8, 8), classes=10)
    after, identified = alike()
    assert after > 0.5 > before + 0.1
    assert identified >= 0.7


def test_it_goes_on_where_it_was_interrupted():
    torch.manual_seed(0)
    network = ConvNet((1, 8, 8), 6, kernel=3, padding=1)
    target = Target(network, input_shape=(1, 8, 8), classes=6)
    whole = invert(PatternInversion(looks=6), target, [0, 3])
    kept = {}

    class Stopping(Monitor):
        def __init__(self, stop):
            super().__init__()
            self.stop = stop

        def resume(self, start):
            return {name: kept.get(name, value) for name, value in start.items()}

        def remaining(self, iterations):
            return iter(range(kept.get("done", 0), iterations))

        def advance(self, iteration, state, **headline):
            kept.update({name: value.clone() for name, value in state.items()})
            kept["done"] = iteration + 1
            if iteration == self.stop:
                raise KeyboardInterrupt

    for stop in (1, 5):
        with pytest.raises(KeyboardInterrupt):
            PatternInversion(looks=6)(
                target, torch.tensor([0, 3]), generator=torch.Generator().manual_seed(3),
                monitor=Stopping(stop),
            )  # fmt: skip
    rest = PatternInversion(looks=6)(
        target, torch.tensor([0, 3]), generator=torch.Generator().manual_seed(3),
        monitor=Stopping(99),
    )  # fmt: skip
    assert torch.equal(rest, whole)


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
