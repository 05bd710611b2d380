"""The prior: its loss against torch's distributions, what it learns, and how it goes on."""

import copy

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from brainleaks.data import digits
from brainleaks.data.parts import set_apart
from brainleaks.errors import InputError
from brainleaks.training import Recipe
from brainleaks.training.prior import Prior, fit_prior
from cut_off import CutOff


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    return set_apart(digits.load(tmp_path_factory.mktemp("digits")), [0, 1, 2, 3, 4])


def new_prior(shape=(1, 8, 8), latent=8):
    torch.manual_seed(7)
    return Prior(shape, latent=latent, hidden=100)


def fit(prior, images, epochs=4, rate=2e-3, monitor=None):
    generator = torch.Generator().manual_seed(1)
    recipe = Recipe(learning_rate=rate, batch_size=50, epochs=epochs)
    fit_prior(prior, images, recipe, generator=generator, monitor=monitor)
    return prior.state_dict()


def test_loss_is_the_evidence_bound():
    """With the pixels' noise as wide as fits best, up to the constants of a normal density."""
    prior = new_prior().double()
    images = torch.rand(5, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        loss = prior.loss(images, torch.Generator().manual_seed(3))
        mean, log_variance = prior.encoder(images).chunk(2, 1)
        width = (log_variance / 2).exp()
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3)).double()
        made = prior.decode(mean + width * noise)
    best = (made - images).square().mean().sqrt()
    density = Normal(made, best).log_prob(images).flatten(1).sum(1).mean()
    divergence = kl_divergence(Normal(mean, width), Normal(0.0, 1.0)).sum(1).mean()
    constant = 64 * (0.5 + torch.tensor(2 * torch.pi).log() / 2)
    assert float(loss) == pytest.approx(float(divergence - density - constant), rel=1e-5)


def test_places_are_latent_values():
    prior = new_prior()
    latent = torch.randn(6, 8)
    torch.testing.assert_close(
        prior(latent.sigmoid().view(6, 8, 1, 1)), prior.decode(latent), rtol=1e-4, atol=1e-5
    )
    ends = torch.stack([torch.zeros(8, 1, 1), torch.ones(8, 1, 1)])
    assert prior(ends).isfinite().all()


def test_it_makes_what_it_has_not_seen_better_than_the_mean_does(apart):
    prior = new_prior()
    fit(prior, apart.others, epochs=60)
    unseen = apart.test.inputs
    with torch.no_grad():
        made = prior.decode(prior.encoder(unseen).chunk(2, 1)[0])
    average = apart.others.mean(0, keepdim=True)
    assert (made - unseen).square().mean() < 0.6 * (average - unseen).square().mean()


def test_the_classes_apart_are_nowhere_else(apart):
    whole = digits.load(None)
    assert len(apart.others) + len(apart.train.labels) + len(apart.test.labels) == 1797
    assert len(whole.train.labels) + len(whole.test.labels) == 1797
    assert apart.class_names == whole.class_names[5:]
    assert apart.train.labels.unique().tolist() == [0, 1, 2, 3, 4]
    kept = whole.train.inputs[whole.train.labels >= 5]
    assert torch.equal(apart.train.inputs, kept)
    other = set_apart(whole, [0, 1, 2, 3])
    assert other.fingerprint != apart.fingerprint


def test_it_goes_on_where_it_was_cut_off(apart):
    prior = new_prior()
    other = copy.deepcopy(prior)
    whole = fit(prior, apart.others)
    cut = CutOff(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        fit(copy.deepcopy(other), apart.others, monitor=cut)
    resumed = fit(other, apart.others, monitor=CutOff(saved=cut.saved, done=cut.done))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_divergence_is_said(apart):
    with pytest.raises(InputError, match=r"training the prior diverged .* lower its learning_rate"):
        fit(new_prior(), apart.others * torch.nan)
