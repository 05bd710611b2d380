import torch

from brainleaks.evaluation import judge_images, judge_spikes, metrics, scale_each
from brainleaks.networks import MLP


def judged(network, values, draws=40, seed=0):
    return judge_spikes(network, values, draws=draws, generator=torch.Generator().manual_seed(seed))


def test_spikes_are_judged_as_they_are(small_snn):
    spikes = (torch.rand(9, 6, 1, 4, 5) < 0.5).float()
    found = judged(small_snn, spikes)
    expected = small_snn(spikes).membrane.softmax(-1).mean(0)
    torch.testing.assert_close(found.matrix, expected.detach())
    assert found.metrics == metrics(expected.detach())
    assert found.draws is None


def test_probabilities_are_judged_on_draws(small_snn):
    """The mean over draws is that of an independent simulation, within four standard errors."""
    rates = torch.rand(9, 6, 1, 4, 5)
    found = judged(small_snn, rates, draws=400)
    assert found.draws["n"] == 400
    torch.manual_seed(99)
    simulated = []
    for _ in range(400):
        response = small_snn(torch.bernoulli(rates))
        simulated.append(response.membrane.softmax(-1).mean(0).diagonal().mean().item())
    simulated = torch.tensor(simulated)
    error = (2 * simulated.var() / 400).sqrt()
    assert abs(found.draws["mean"]["confidence"] - simulated.mean()) < 4 * error
    assert abs(found.draws["std"]["confidence"] / simulated.std() - 1) < 0.25


def test_draws_do_not_depend_on_how_many_there_are(small_snn):
    """The single judged draw is the first of many."""
    rates = torch.rand(9, 6, 1, 4, 5)
    one, many = judged(small_snn, rates, draws=1), judged(small_snn, rates, draws=30)
    assert one.metrics == many.metrics
    assert one.draws["mean"] == one.metrics
    assert set(one.draws["std"].values()) == {0.0}
    assert judged(small_snn, rates, seed=1).draws != many.draws


def test_images_are_scaled_one_by_one():
    network = MLP((1, 4, 5), 6)
    images = torch.randn(6, 1, 4, 5) * torch.arange(1, 7).view(6, 1, 1, 1) - 3
    scaled = scale_each(images)
    assert torch.equal(scaled.amin((1, 2, 3)), torch.zeros(6))
    assert torch.equal(scaled.amax((1, 2, 3)), torch.ones(6))
    expected = network(scaled).softmax(-1).detach()
    torch.testing.assert_close(judge_images(network, images).matrix, expected)


def test_an_image_without_contrast_is_black():
    assert not scale_each(torch.full((2, 1, 3, 3), 7.0)).any()
