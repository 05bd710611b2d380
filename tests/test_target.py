import pytest
import torch

from brainleaks import AccessError, Target
from brainleaks.attacks.objectives import confidence, negative_log_likelihood
from brainleaks.networks import MLP, SpikingConvNet, respond
from brainleaks.neuron import ArcTan


def weigh(values, members):
    return values / values.sum(0)


def target_of(network, **settings):
    return Target(network, input_shape=(1, 4, 5), classes=6, **settings)


def ask(target, inputs, labels, objective):
    return target.gradient(target.entry(inputs), labels, objective)


def test_gradient_is_autograds(small_snn):
    spikes = (torch.rand(9, 6, 1, 4, 5) < 0.5).float()
    labels = torch.arange(6)
    values, gradient = ask(target_of(small_snn), spikes, labels, confidence)
    spikes.requires_grad_()
    probability = small_snn(spikes).membrane.softmax(-1).mean(0)[range(6), range(6)]
    torch.testing.assert_close(values, probability.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(probability.sum(), spikes)[0])
    assert gradient.abs().max() > 0


def test_shared_gradient_is_the_weighted_sum_of_single_ones(small_snn):
    members = (torch.rand(9, 4, 6, 1, 4, 5) < 0.5).float()
    labels = torch.arange(6)
    target = target_of(small_snn)
    weights, total = target.shared_gradient(members, labels, negative_log_likelihood, weigh)
    singles = [ask(target, members[:, k], labels, negative_log_likelihood) for k in range(4)]
    costs = torch.stack([values for values, _ in singles])
    torch.testing.assert_close(weights, costs / costs.sum(0))
    expected = sum(w[:, None, None, None] * g for w, (_, g) in zip(weights, singles, strict=True))
    torch.testing.assert_close(total, expected)
    assert target.queries == 4 * 6 * 2


def test_shared_gradient_of_a_network_without_pull_back():
    torch.manual_seed(0)
    network = SpikingConvNet((1, 4, 5), 6, kernel=3, padding=1, beta=0.8, surrogate=ArcTan(1.5))
    members = (torch.rand(5, 3, 6, 1, 4, 5) < 0.5).float()
    target = target_of(network)
    weights, total = target.shared_gradient(members, torch.arange(6), confidence, weigh)
    singles = [ask(target, members[:, k], torch.arange(6), confidence)[1] for k in range(3)]
    expected = sum(w[:, None, None, None] * g for w, g in zip(weights, singles, strict=True))
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("memory", [1, 60_000, 2**30])
def test_the_memory_budget_changes_nothing(small_snn, memory):
    spikes, labels = (torch.rand(9, 6, 1, 4, 5) < 0.5).float(), torch.arange(6)
    members = (torch.rand(9, 4, 6, 1, 4, 5) < 0.5).float()
    whole, split = target_of(small_snn), target_of(small_snn, memory=memory)
    for a, b in zip(
        (
            *ask(whole, spikes, labels, confidence),
            *whole.shared_gradient(members, labels, confidence, weigh),
        ),
        (
            *ask(split, spikes, labels, confidence),
            *split.shared_gradient(members, labels, confidence, weigh),
        ),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_the_network_is_left_alone(small_snn):
    small_snn.train()
    target = target_of(small_snn)
    ask(target, torch.rand(3, 2, 1, 4, 5), torch.tensor([0, 1]), confidence)
    assert small_snn.training
    assert all(p.requires_grad and p.grad is None for p in small_snn.parameters())
    assert target.network.fc1.weight.data_ptr() == small_snn.fc1.weight.data_ptr()


def test_access_is_enforced(small_snn):
    target = target_of(small_snn, access="scores")
    with pytest.raises(AccessError, match="needs the target's gradients"):
        target.require("gradients", "an attack", spiking=True)
    target.require("labels", "an attack", spiking=True)
    with pytest.raises(AccessError, match="grants scores"):
        target.entry(torch.rand(3, 1, 1, 4, 5))
    with pytest.raises(AccessError, match="attacks ordinary"):
        target.require("labels", "an attack", spiking=False)


def test_ordinary_network():
    network = MLP((1, 4, 5), 6, hidden=10)
    images = torch.rand(6, 1, 4, 5)
    values, gradient = ask(target_of(network), images, torch.arange(6), confidence)
    expected = respond(network, images).membrane[0].softmax(-1).diagonal()
    torch.testing.assert_close(values, expected.detach())
    assert gradient.shape == images.shape


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_an_updated_entry_is_the_entry_of_the_new_inputs(small_snn, share):
    """Event-driven or dense, split or entered by its inputs."""
    conv = SpikingConvNet((1, 4, 5), 6, kernel=3, padding=1, beta=0.8, surrogate=ArcTan(1.5))
    before = (torch.rand(25, 6, 1, 4, 5) < 0.5).float()
    after = torch.where(torch.rand_like(before) < share, 1 - before, before)
    for network in (small_snn, conv):
        target = target_of(network)
        updated = target.update(target.entry(before), after - before)
        torch.testing.assert_close(updated, target.entry(after), rtol=1e-5, atol=1e-5)


def test_scores_and_labels_are_the_networks(small_snn):
    spikes = (torch.rand(9, 6, 1, 4, 5) < 0.5).float()
    target = target_of(small_snn, access="scores", readout="spikes")
    response = small_snn(spikes)
    torch.testing.assert_close(target.scores(spikes), response.membrane.softmax(-1).mean(0))
    assert torch.equal(target.labels(spikes), response.spikes.sum(0).argmax(1))
    by_membrane = target_of(small_snn, access="labels").labels(spikes)
    assert torch.equal(by_membrane, response.membrane.sum(0).argmax(1))
    assert target.queries == 12


def test_a_black_box_shows_neither_gradients_nor_weights(small_snn):
    spikes, labels = torch.zeros(9, 6, 1, 4, 5), torch.arange(6)
    for access in ("scores", "labels"):
        target = target_of(small_snn, access=access)
        with pytest.raises(AccessError, match="gradients were requested"):
            target.entry(spikes)
        with pytest.raises(AccessError, match="gradients were requested"):
            target.gradient(spikes, labels, confidence)
        with pytest.raises(AccessError, match="gradients were requested"):
            target.first_weights()
        with pytest.raises(AccessError, match="gradients were requested"):
            _ = target.network
        with pytest.raises(AccessError), target.differentiated_by(ArcTan(1.0)):
            pass
    with pytest.raises(AccessError, match="grants labels, but scores were requested"):
        target.scores(spikes)


def test_first_weights_are_those_of_a_linear_first_layer_alone(small_snn):
    weights = target_of(small_snn).first_weights()
    assert torch.equal(weights.flatten(1), small_snn.fc1.weight)
    convolutional = SpikingConvNet(
        (1, 4, 5), 6, kernel=3, padding=1, beta=0.8, surrogate=ArcTan(1.5)
    )
    assert target_of(convolutional).first_weights() is None


def test_another_surrogate_changes_the_gradient_and_no_answer(small_snn):
    spikes, labels = (torch.rand(9, 6, 1, 4, 5) < 0.5).float(), torch.arange(6)
    target = target_of(small_snn)
    values, gradient = ask(target, spikes, labels, confidence)
    with target.differentiated_by(ArcTan(1.0)):
        other_values, other = ask(target, spikes, labels, confidence)
    assert torch.equal(other_values, values)
    assert (other - gradient).abs().max() > 1e-6
    assert torch.equal(ask(target, spikes, labels, confidence)[1], gradient)
    assert small_snn.lif1.surrogate != ArcTan(1.0)
