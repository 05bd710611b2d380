"""Searching a prior instead of pixels: the same target, asked through the generator."""

import pytest
import torch

from brainleaks import AccessError, InputError, Target
from brainleaks.attacks import (
    BoundaryRepulsion,
    Gamin,
    ScoreEvolution,
    SmoothInversion,
    WithinPrior,
)
from brainleaks.attacks.inversion.within_prior import _EvenCode
from brainleaks.networks import MLP, respond
from brainleaks.training.prior import Prior
from cut_off import CutOff

SEARCHES = [
    SmoothInversion(iterations=4, blur=0, time_steps=9),
    ScoreEvolution(probes=150, iterations=3, pairs=2, time_steps=9),
    BoundaryRepulsion(probes=250, iterations=3, samples=4, time_steps=9),
    Gamin(iterations=3, samples=3, time_steps=9),
]
LABELS = torch.arange(6)


@pytest.fixture
def prior():
    torch.manual_seed(2)
    return Prior((1, 4, 5), latent=7, hidden=30)


@pytest.fixture(params=SEARCHES, ids=lambda search: search.attack)
def attack(request):
    return WithinPrior(request.param)


def launch(attack, target, prior, monitor=None):
    generator = torch.Generator().manual_seed(11)
    return attack(target, LABELS, prior=prior, generator=generator, monitor=monitor)


def on(network, access="gradients"):
    return Target(network, input_shape=(1, 4, 5), classes=6, access=access)


def test_what_is_found_is_what_the_prior_makes(attack, small_snn, prior):
    target = on(small_snn, attack.access)
    found = launch(attack, target, prior)
    assert found.shape == (9, 6, 1, 4, 5)
    assert all(torch.equal(found[0], step) for step in found)
    assert not found.requires_grad
    # the images lie on the prior's manifold: another decoder does not give them
    other = launch(attack, on(small_snn, attack.access), Prior((1, 4, 5), latent=7, hidden=30))
    assert not torch.equal(found, other)
    assert target.queries > 0


def test_ordinary_targets_are_asked_about_images(attack, prior):
    torch.manual_seed(5)
    found = launch(attack, on(MLP((1, 4, 5), 6, hidden=30)), prior)
    assert found.shape == (6, 1, 4, 5)


def test_queries_are_those_of_the_target(small_snn, prior):
    target = on(small_snn, "scores")
    launch(WithinPrior(SEARCHES[1]), target, prior)
    assert target.queries == 150 + 3 * 2 * 2 * 6


def test_access_is_that_of_the_search(small_snn, prior):
    assert [WithinPrior(search).access for search in SEARCHES] == [
        "gradients",
        "scores",
        "labels",
        "scores",
    ]
    with pytest.raises(AccessError, match="within-prior needs the target's gradients"):
        launch(WithinPrior(SEARCHES[0]), on(small_snn, "scores"), prior)
    behind = on(small_snn, "labels").behind(prior, 1, prior.places)
    with pytest.raises(AccessError):
        behind.scores(torch.zeros(1, *prior.places))


def test_the_priors_weights_are_not_taken_for_the_targets(prior):
    target = on(MLP((1, 4, 5), 6, hidden=30))
    assert target.first_weights().shape == (30, 1, 4, 5)
    assert target.behind(prior, 1, prior.places).first_weights() is None


def test_neither_network_nor_prior_is_touched(attack, small_snn, prior):
    before = [p.clone() for p in (*small_snn.parameters(), *prior.parameters())]
    launch(attack, on(small_snn), prior)
    after = [*small_snn.parameters(), *prior.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None and p.requires_grad for p in after)


def test_it_goes_on_where_it_was_cut_off(attack, small_snn, prior):
    whole = launch(attack, on(small_snn), prior)
    cut = CutOff(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        launch(attack, on(small_snn), prior, cut)
    resumed = launch(attack, on(small_snn), prior, CutOff(saved=cut.saved, done=cut.done))
    assert torch.equal(whole, resumed)


@pytest.mark.parametrize("spiking", [True, False])
def test_gradients_are_the_chains(spiking, small_snn, prior):
    """Against prior, code and network differentiated as one."""
    torch.manual_seed(5)
    network = small_snn if spiking else MLP((1, 4, 5), 6, hidden=30)
    code = _EvenCode(on(small_snn), 9, seed=3) if spiking else torch.nn.Identity()
    places = (torch.rand(6, *prior.places) * 0.8 + 0.1).requires_grad_()

    def objective(response, labels):
        return response.membrane.sum(0).gather(1, labels.unsqueeze(1)).squeeze(1)

    values = objective(respond(network, code(prior(places))), LABELS)
    (expected,) = torch.autograd.grad(values.sum(), places)
    assert expected.abs().max() > 0
    view = on(network).behind(torch.nn.Sequential(prior, code), 9 if spiking else 1, prior.places)
    found, gradient = view.gradient(view.entry(places.detach()), LABELS, objective)
    torch.testing.assert_close(found, values.detach())
    torch.testing.assert_close(gradient, expected)


def test_a_prior_of_other_images_is_refused(small_snn):
    with pytest.raises(
        InputError, match=r"images of shape \(1, 8, 8\); the target takes \(1, 4, 5\)"
    ):
        launch(WithinPrior(SEARCHES[0]), on(small_snn), Prior((1, 8, 8), latent=3, hidden=5))


def test_the_even_code_fires_as_often_as_it_should(small_snn):
    code = _EvenCode(on(small_snn), 8, seed=3)
    images = torch.tensor([0.0, 0.25, 0.5, 1.0]).repeat_interleave(20).view(4, 1, 4, 5)
    images.requires_grad_()
    spikes = code(images)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(spikes.mean(0), images)
    # not all pixels at once: the steps differ, and each pixel has an order of its own
    assert (spikes[:, 2].flatten(1).sum(1) < 20).all()
    (gradient,) = torch.autograd.grad(spikes[2].sum(), images)
    assert torch.equal(gradient, torch.ones_like(gradient))
    assert torch.equal(code(images), spikes)
