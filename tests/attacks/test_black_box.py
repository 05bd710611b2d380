"""Attacks that see answers alone: what they may ask, what they find, and the basis they search."""

import numpy as np
import pytest
import torch
from scipy.fft import idctn
from torch.nn import functional

from brainleaks import Target
from brainleaks.attacks import BoundaryRepulsion, Gamin, ScoreEvolution
from brainleaks.attacks.inputs import answers, frequency, low_frequencies, of_contrast, rates
from brainleaks.attacks.inversion import gamin
from brainleaks.monitor import Monitor
from brainleaks.networks import MLP

SMALL = [
    ScoreEvolution(frequencies=4, probes=150, iterations=3, pairs=2, time_steps=9),
    BoundaryRepulsion(frequencies=4, probes=250, iterations=3, samples=4, time_steps=9),
    Gamin(iterations=4, samples=3, time_steps=9),
]
QUERIES = {
    "score-evolution": 150 + 3 * 2 * 2 * 6,
    "boundary-repulsion": 250 + 3 * 4 * 6,
    "gamin": 4 * 2 * 3 * 6,
}


def launch(attack, target):
    generator = torch.Generator().manual_seed(11)
    return attack(target, torch.arange(target.classes), generator=generator)


@pytest.fixture(params=SMALL, ids=lambda a: a.attack)
def attack(request):
    return request.param


def test_basis_is_the_cosine_transforms():
    """Against SciPy's inverse transform of one coefficient at a time."""
    basis = low_frequencies((1, 6, 9), 3)
    assert basis.shape == (9, 6, 9)
    for i in range(3):
        for j in range(3):
            one = np.zeros((6, 9))
            one[i, j] = np.sqrt(54) / 3
            expected = torch.from_numpy(idctn(one, norm="ortho")).float()
            torch.testing.assert_close(basis[3 * i + j], expected, rtol=1e-4, atol=1e-5)


def test_basis_of_a_small_image_is_all_of_it():
    basis = low_frequencies((1, 4, 5), 16).flatten(1)
    assert len(basis) == 16
    torch.testing.assert_close(basis @ basis.T, torch.eye(16) * 20 / 16, rtol=1e-4, atol=1e-4)


def test_normal_coefficients_give_unit_variance_and_none_mid_grey():
    basis = low_frequencies((2, 12, 10), 5)
    coefficients = torch.randn(500, 2, 25, generator=torch.Generator().manual_seed(0))
    images = rates(coefficients, basis)
    assert images.shape == (500, 2, 12, 10)
    assert images.logit().square().mean() == pytest.approx(1, abs=0.05)
    assert (rates(torch.zeros(1, 2, 25), basis) == 0.5).all()


def test_frequencies_are_in_the_order_of_the_basis():
    expected = [1, 1, 2, 1, 2**0.5, 5**0.5, 2, 5**0.5, 8**0.5]
    found = frequency(low_frequencies((1, 8, 8), 3))
    torch.testing.assert_close(found, torch.tensor(expected))


def test_contrast_is_a_root_mean_square():
    scaled = of_contrast(torch.randn(4, 2, 9), 0.7)
    torch.testing.assert_close(scaled.square().mean((1, 2)).sqrt(), torch.full((4,), 0.7))
    assert not of_contrast(torch.zeros(1, 1, 4), 1.0).any()


def test_every_answer_is_a_query_on_fresh_spikes(small_snn):
    target = Target(small_snn, input_shape=(1, 4, 5), classes=6, access="scores")
    images, noise = torch.full((2000, 1, 4, 5), 0.5), torch.Generator().manual_seed(0)
    scores = answers(target.scores, images, target, 9, noise)
    assert scores.shape == (2000, 6)
    assert target.queries == 2000
    assert len(scores.unique(dim=0)) > 1000


def test_asks_for_nothing_but_answers(attack, small_snn):
    """A target without its network: whatever reaches for weights or gradients fails."""

    class Service:
        access, input_shape, classes, spiking = attack.access, (1, 4, 5), 6, True
        device, queries = torch.device("cpu"), 0
        hidden = Target(small_snn, input_shape=(1, 4, 5), classes=6, access=attack.access)

        def require(self, access, name, *, spiking):
            self.hidden.require(access, name, spiking=spiking)

        def scores(self, inputs):
            assert not torch.is_grad_enabled() or not inputs.requires_grad
            return self.hidden.scores(inputs)

        def labels(self, inputs):
            return self.hidden.labels(inputs)

    service = Service()
    found = launch(attack, service)
    whole = launch(attack, Target(small_snn, input_shape=(1, 4, 5), classes=6))
    assert torch.equal(found, whole)
    assert service.hidden.queries == QUERIES[attack.attack]


def test_reconstructions_are_images_or_rates_that_do_not_change(attack, small_snn):
    torch.manual_seed(5)
    ordinary = Target(MLP((1, 4, 5), 6, hidden=30), input_shape=(1, 4, 5), classes=6)
    images = launch(attack, ordinary)
    assert images.shape == (6, 1, 4, 5)
    spikes = launch(attack, Target(small_snn, input_shape=(1, 4, 5), classes=6))
    assert spikes.shape == (9, 6, 1, 4, 5)
    assert (spikes == spikes[:1]).all()
    for found in (images, spikes):
        assert 0 <= found.min() <= found.max() <= 1


class Linear(MLP):
    """Logits are products with given patterns: what the attacks must find is known."""

    def __init__(self, patterns, offsets=0.0):
        super().__init__(patterns.shape[1:], len(patterns), hidden=1)
        self.patterns, self.offsets = patterns, offsets

    def forward(self, images):
        return (images - 0.5).flatten(1) @ self.patterns.flatten(1).T + self.offsets


@pytest.mark.parametrize(
    ("attack", "least"),
    [
        (ScoreEvolution(frequencies=4, probes=400, iterations=1, step=1e-6, smoothness=0), 0.95),
        (BoundaryRepulsion(frequencies=4, probes=2000, iterations=5, smoothness=0), 0.6),
    ],
    ids=lambda value: getattr(value, "attack", None),
)
def test_finds_what_tells_classes_apart(attack, least):
    """Of a linear classifier, that is each class's pattern less the mean of all."""
    generator = torch.Generator().manual_seed(2)
    basis = low_frequencies((1, 8, 8), 4)
    patterns = torch.randn(6, 1, 16, generator=generator) @ basis.flatten(1)
    target = Target(
        Linear(patterns.unflatten(2, (8, 8))), input_shape=(1, 8, 8), classes=6, access="scores"
    )
    found = launch(attack, target).flatten(1).logit()
    expected = (patterns - patterns.mean(0)).flatten(1)
    assert torch.cosine_similarity(found, expected).min() > least


def test_a_class_that_is_never_named_stays_unstarted():
    """And the share of those that were is in the headline."""
    patterns = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    network = Linear(patterns, torch.tensor([0, 0, 0, -1e3]))
    told = []

    class Told(Monitor):
        def advance(self, iteration, state, **headline):
            told.append(headline)

    target = Target(network, input_shape=(1, 8, 8), classes=4, access="labels")
    attack = BoundaryRepulsion(frequencies=3, probes=200, iterations=2, samples=3)
    found = attack(
        target, torch.arange(4), generator=torch.Generator().manual_seed(1), monitor=Told()
    )
    assert found.isfinite().all()
    assert {line["started"] for line in told} == {0.75}
    assert [line["queries"] for line in told] == [200, 212, 224]


def test_images_are_resized_as_torch_resizes_them():
    images = torch.rand(3, 2, 12, 20, generator=torch.Generator().manual_seed(0))
    larger = gamin._Resize((12, 20), (19, 23), gamin._linear)
    smaller = gamin._Resize((12, 20), (5, 8), functional.adaptive_avg_pool1d)
    stretched = functional.interpolate(images, (19, 23), mode="bilinear")
    torch.testing.assert_close(larger(images), stretched)
    torch.testing.assert_close(smaller(images), functional.adaptive_avg_pool2d(images, (5, 8)))
