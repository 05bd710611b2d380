"""Smooth inversion and its parts, against hand-worked cases and other libraries."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from brainleaks import Target
from brainleaks.attacks import SmoothInversion
from brainleaks.attacks.descent import adam, cosine
from brainleaks.attacks.fields import draw, interpolation, over_time
from brainleaks.attacks.objectives import contrast, log_odds, negative_log_likelihood
from brainleaks.attacks.priors import smooth, total_variation
from brainleaks.networks import MLP, ConvNet, Response, SpikingConvNet
from brainleaks.neuron import ArcTan


def target_of(network, **settings):
    return Target(network, input_shape=(1, 4, 5), classes=6, **settings)


def invert(attack, target, labels, seed=3):
    return attack(target, labels, generator=torch.Generator().manual_seed(seed))


def test_interpolation_is_numpys():
    weights = interpolation(11, 4).numpy()
    values = np.array([0.2, 0.9, 0.1, 0.4])
    expected = np.interp(np.linspace(0, 3, 11), np.arange(4), values)
    np.testing.assert_allclose(weights @ values, expected, atol=1e-6)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert torch.equal(interpolation(3, 1), torch.ones(3, 1))
    field = torch.rand(4, 2, 1, 3, 3)
    assert torch.equal(over_time(interpolation(11, 4), field)[0], field[0])


def test_draws_are_bernoulli_and_each_class_its_own():
    rates = torch.rand(9, 2, 1, 4, 5)
    drawn = draw(rates, torch.tensor([4, 1]), 400, 7, "there")
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert (drawn.mean(1) - rates).abs().max() < 0.15
    alone = draw(rates[:, 1:], torch.tensor([1]), 400, 7, "there")
    assert torch.equal(alone[:, :, 0], drawn[:, :, 1])


def test_adam_is_torchs():
    torch.manual_seed(0)
    value, moments = torch.randn(5), torch.zeros(2, 5)
    parameter = nn.Parameter(value.clone())
    optimiser = torch.optim.Adam([parameter], lr=0.3)
    for iteration in range(7):
        gradient = torch.randn(5)
        parameter.grad = gradient.clone()
        optimiser.step()
        value, moments = adam(value, gradient, moments, iteration, 0.3)
    torch.testing.assert_close(value, parameter.detach())
    assert cosine(0, 10) == 1
    assert cosine(5, 10) == pytest.approx(0.5)


def test_smoothing_is_scipys_gaussian():
    images = torch.rand(2, 3, 20, 17, dtype=torch.float64)
    expected = gaussian_filter(images.numpy(), (0, 0, 1.5, 1.5), mode="nearest", radius=5)
    np.testing.assert_allclose(smooth(images, 1.5).numpy(), expected, atol=1e-7)
    assert smooth(images, 0) is images


def test_total_variation_of_a_step():
    image = torch.zeros(1, 1, 4, 5)
    image[..., 2:] = 0.5
    assert float(total_variation(image)) == pytest.approx(4 * 0.5, abs=1e-2)
    assert float(total_variation(torch.ones(1, 1, 4, 5))) == pytest.approx(0, abs=1e-6)


def test_contrast_adds_up_to_nothing():
    response = Response(None, torch.randn(7, 3, 6))
    values = [contrast(response, torch.full((3,), c)) for c in range(6)]
    torch.testing.assert_close(sum(values), torch.zeros(3), atol=1e-5, rtol=0)
    by_hand = response.membrane.mean(0)[1, 2] - response.membrane.mean((0, 2))[1]
    torch.testing.assert_close(values[2][1], by_hand)


def test_log_odds_are_those_of_the_softmax():
    response, labels = Response(None, 3 * torch.randn(7, 4, 6)), torch.tensor([0, 5, 2, 2])
    p = response.membrane.double().softmax(-1).gather(2, labels.view(1, 4, 1).expand(7, 4, 1))
    expected = (p / (1 - p)).log().mean((0, 2)).float()
    torch.testing.assert_close(log_odds(response, labels), expected)
    certain = Response(None, torch.tensor([[[200.0, 0.0]]]))
    assert log_odds(certain, torch.tensor([0])) == 200


def test_gradients_over_time_are_the_steps_gradients_summed(small_snn):
    members, labels = (torch.rand(9, 4, 6, 1, 4, 5) < 0.5).float(), torch.arange(6)
    weights = interpolation(9, 3)

    def alike(values, members):
        return torch.full_like(values, 0.25)

    for network in (
        small_snn,
        SpikingConvNet((1, 4, 5), 6, kernel=3, padding=1, beta=0.8, surrogate=ArcTan(1.5)),
    ):
        asked = (members, labels, negative_log_likelihood, alike)
        _, each = target_of(network).shared_gradient(*asked)
        _, summed = target_of(network, memory=1).shared_gradient(*asked, over_time=weights)
        expected = torch.einsum("tk,tbchw->kbchw", weights, each)
        torch.testing.assert_close(summed, expected, rtol=1e-4, atol=1e-7)


def test_first_step_of_an_ordinary_target_by_autograd():
    """One step from flat grey moves every logit against its gradient's sign."""
    torch.manual_seed(2)
    network = MLP((1, 4, 5), 6, hidden=30)
    attack = SmoothInversion(
        iterations=1, look=0, common_rate=0, learning_rate=0.05, rate=0.3, ground=0, detail=0
    )
    result = invert(attack, target_of(network), torch.arange(6))
    start = torch.full((6, 1, 4, 5), 0.3)
    images = start.clone().requires_grad_()
    (-network(images).log_softmax(-1).diagonal().sum()).backward()
    expected = torch.sigmoid(start.logit() - 0.05 * images.grad.sign())
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)


def test_the_first_look_is_the_linear_response_of_a_linear_network():
    weights = torch.randn(6, 20)
    network = ConvNet((1, 4, 5), 6, kernel=3, padding=1)  # it is not split at its first layer
    network.forward = lambda images: images.flatten(1) @ weights.T
    attack = SmoothInversion(
        iterations=1, blur=0, learning_rate=1e-9, common_rate=0, look=1.0, ground=0, detail=0
    )
    seen = invert(attack, target_of(network), torch.tensor([2, 5])).logit().flatten(1)
    lifted = (weights - weights.mean(0))[[2, 5]]
    lifted = lifted - lifted.mean(1, keepdim=True)
    torch.testing.assert_close(seen, lifted / lifted.std(1, keepdim=True), atol=1e-4, rtol=1e-4)


def test_the_last_look_is_taken_from_what_is_common_and_keeps_the_spread():
    """A linear network, squared: its gradients at any image are known by hand."""
    torch.manual_seed(4)
    weights = torch.randn(6, 20)
    network = ConvNet((1, 4, 5), 6, kernel=3, padding=1)  # it is not split at its first layer
    network.forward = lambda images: (images.flatten(1) @ weights.T).square() / 2

    def look(image):
        gradients = (weights @ image).unsqueeze(1) * weights
        seen = image * (gradients - gradients.mean(0))
        seen = seen - seen.mean(1, keepdim=True)
        return seen / seen.std(1, keepdim=True)

    def found(detail):
        settings = {"iterations": 1, "learning_rate": 1e-9, "common_rate": 0.2, "look": 0.8}
        attack = SmoothInversion(ground=0, blur=0, detail=detail, detail_blur=0, **settings)
        return invert(attack, target_of(network), torch.arange(6)).flatten(1)

    own = 0.8 * look(torch.full((20,), 0.5))
    common = (found(0).logit() - own).mean(0)
    torch.testing.assert_close(found(0), torch.sigmoid(common + own), atol=1e-5, rtol=0)
    shared = torch.sigmoid(common)
    departs = found(0) - shared
    seen = departs.std(1, keepdim=True) * look(shared)
    assert (seen - departs).abs().max() > 0.03
    for share in (0.5, 1.0):
        expected = (shared + (1 - share) * departs + share * seen).clamp(0, 1)
        torch.testing.assert_close(found(share), expected, atol=1e-4, rtol=0)


def test_the_ground_is_dark_where_weights_vary():
    network = MLP((1, 4, 5), 6, hidden=30)
    weights = next(network.parameters()).detach().numpy().astype(np.float64)
    still = {"iterations": 1, "learning_rate": 1e-9, "common_rate": 0, "look": 0, "detail": 0}
    attack = SmoothInversion(rate=0.3, ground=0.7, blur=0, **still)
    result = invert(attack, target_of(network), torch.arange(2)).numpy()
    spread = weights.var(0)
    logits = np.log(0.3 / 0.7) - 0.7 * (spread - spread.mean()) / spread.std(ddof=1)
    expected = np.broadcast_to(1 / (1 + np.exp(-logits)).reshape(1, 4, 5), (2, 1, 4, 5))
    np.testing.assert_allclose(result, expected, atol=1e-5)
    convolving = SpikingConvNet((1, 4, 5), 6, kernel=3, padding=1, beta=0.8, surrogate=ArcTan(1.5))
    flat = invert(attack, target_of(convolving), torch.arange(2))
    torch.testing.assert_close(flat, torch.full_like(flat, 0.3))


def test_what_is_common_moves_all_classes_alike():
    network = MLP((1, 4, 5), 6, hidden=30)
    attack = SmoothInversion(iterations=5, look=0, learning_rate=1e-9, common_rate=0.3)
    result = invert(attack, target_of(network), torch.arange(6))
    torch.testing.assert_close(result, result[:1].expand_as(result), atol=1e-5, rtol=0)
    assert result.std() > 1e-3


def test_a_heavy_prior_leaves_a_flat_image(small_snn):
    def roughness(variation):
        attack = SmoothInversion(
            iterations=30, time_steps=9, learning_rate=0.3, variation=(variation, variation)
        )
        result = invert(attack, target_of(small_snn), torch.arange(6))
        return float(total_variation(result[0]).sum())

    assert roughness(5.0) < 0.2 * roughness(1e-6)


def test_probabilities_are_constant_under_a_rate_code(small_snn):
    attack = SmoothInversion(iterations=2, time_steps=9)
    result = invert(attack, target_of(small_snn), torch.arange(6))
    assert torch.equal(result, result[:1].expand_as(result))
