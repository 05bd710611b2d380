"""Private training: gradients of single samples, noise, and what is spent."""

import math

import numpy as np
import pytest
import torch

from brainleaks import FastSigmoid, InputError
from brainleaks.data import Samples
from brainleaks.data.codes import DirectCode
from brainleaks.data.encoding import RateCode, as_images
from brainleaks.defences.accountant import epsilon, noise_for, renyi
from brainleaks.defences.dp_sgd import DPSGD
from brainleaks.defences.label_smoothing import LabelSmoothing
from brainleaks.defences.mixup import Mixup
from brainleaks.defences.per_sample import clipped
from brainleaks.networks import MLP, VGG, SpikingConvNet, SpikingMLP, SpikingRecurrent, respond
from brainleaks.networks.views import Coded
from brainleaks.randomness import stream
from brainleaks.training import Batch, Recipe, TrainingLoop, fit, summed_cross_entropy

NEURON = {"beta": 0.7, "surrogate": FastSigmoid(40)}
SHAPE = (1, 12, 12)


def network(kind):
    torch.manual_seed(0)
    return {
        "mlp": lambda: MLP(SHAPE, 4, hidden=30),
        "spiking-mlp": lambda: SpikingMLP(SHAPE, 4, hidden=30, **NEURON),
        "spiking-recurrent": lambda: SpikingRecurrent(SHAPE, 4, hidden=20, **NEURON),
        "behind a code": lambda: Coded(
            SpikingMLP(SHAPE, 4, hidden=30, **NEURON), DirectCode(steps=6), 6
        ),
        "spiking-conv": lambda: SpikingConvNet(SHAPE, 4, kernel=3, **NEURON),
    }[kind]().double()


def batch(spiking, count=7):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(count, *SHAPE, generator=generator, dtype=torch.float64)
    spikes = torch.bernoulli(images.expand(6, *images.shape), generator=generator)
    return Batch(spikes if spiking else images, torch.arange(count) % 4)


def one_at_a_time(made, given, most):
    """The definition: clip the gradient of each sample, and add them up."""
    total, norms = [torch.zeros_like(p) for p in made.parameters()], []
    for i in range(len(given.targets)):
        made.zero_grad()
        inputs = given.inputs[:, i : i + 1] if made.spiking else given.inputs[i : i + 1]
        summed_cross_entropy(respond(made, inputs), given.targets[i : i + 1]).backward()
        norm = torch.cat([p.grad.flatten() for p in made.parameters()]).norm()
        norms.append(float(norm))
        for sum_, p in zip(total, made.parameters(), strict=True):
            sum_ += p.grad * min(1.0, most / float(norm))
    return total, norms


@pytest.mark.parametrize(
    "kind", ["mlp", "spiking-mlp", "behind a code", "spiking-recurrent", "spiking-conv"]
)
def test_clipped_gradients_are_those_of_one_sample_at_a_time(kind):
    made = network(kind)
    given = batch(made.spiking)
    norms = clipped(made, given, summed_cross_entropy, 1.0).norms
    most = float(norms.median())  # some are clipped, and some are not
    found = clipped(made, given, summed_cross_entropy, most)
    total, expected = one_at_a_time(made, given, most)
    torch.testing.assert_close(found.norms, torch.tensor(expected, dtype=torch.float64))
    for ours, theirs in zip(found.gradients, total, strict=True):
        torch.testing.assert_close(ours, theirs)
    loss = summed_cross_entropy(respond(made, given.inputs), given.targets)
    torch.testing.assert_close(found.loss, loss)


def test_the_norm_of_factors_by_hand():
    """One weight: inputs 1, 2 and errors 3, 5 over time make a gradient of 1 * 3 + 2 * 5."""
    from brainleaks.defences.per_sample import _squared_norms

    inputs, errors = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
    found = _squared_norms(inputs.view(2, 1, 1), errors.view(2, 1, 1), 1)
    assert found.tolist() == [13**2 + 8**2]


def loop_of(defences=(), count=40, epochs=2, size=8):
    made = network("spiking-mlp").float()
    data = Samples(torch.rand(count, *SHAPE), torch.arange(count) % 4)
    recipe = Recipe(learning_rate=1e-2, batch_size=size, epochs=epochs)
    loop = TrainingLoop(made, data, recipe, RateCode(4), seed=2)
    for defence in defences:
        defence(loop)
    return loop


def test_noise_has_the_deviation_that_was_asked_for():
    loop = loop_of([DPSGD(noise_multiplier=3, max_gradient_norm=0.5)])
    given = batch(spiking=True, count=8)
    given = given._replace(inputs=given.inputs.float())
    loop.backward(given)
    exact = clipped(loop.network, given, summed_cross_entropy, 0.5).gradients[0]
    noise = 8 * loop.network.fc1.weight.grad - exact
    assert float(noise.std()) == pytest.approx(1.5, rel=0.03)
    assert float(noise.mean()) == pytest.approx(0, abs=0.1)


def test_samples_are_drawn_one_by_one():
    loop = loop_of([DPSGD(noise_multiplier=1)], count=400, size=40)
    drawn = [p for i in range(20) for p in loop.deal(stream(0, i))]
    assert len(drawn) == 200
    sizes = np.array([len(places) for places in drawn])
    assert sizes.mean() == pytest.approx(40, abs=1.5)
    assert sizes.std() == pytest.approx(math.sqrt(400 * 0.1 * 0.9), rel=0.2)
    assert all(len(places.unique()) == len(places) for places in drawn)


def test_an_empty_draw_is_a_step_of_noise():
    loop = loop_of([DPSGD(noise_multiplier=1)])
    loss, response = loop.backward(Batch(torch.zeros(4, 0, *SHAPE), torch.zeros(0).long()))
    assert float(loss) == 0
    assert response.membrane.shape[1] == 0
    assert float(loop.network.fc1.weight.grad.std()) == pytest.approx(1 / 8, rel=0.05)


def test_training_reports_what_it_spent():
    data = Samples(torch.rand(40, *SHAPE), torch.arange(40) % 4)
    recipe = Recipe(learning_rate=1e-2, batch_size=8, epochs=2)
    made = network("spiking-mlp").float()
    defences = [LabelSmoothing(), DPSGD(epsilon=4, delta=1e-3)]
    generator = torch.Generator().manual_seed(0)
    told = fit(made, data, recipe, encode=RateCode(4), generator=generator, defences=defences)
    spent = told["dp-sgd"]
    assert (spent["sampling_rate"], spent["steps"], spent["delta"]) == (0.2, 10, 1e-3)
    assert 3.9 < spent["epsilon"] <= 4
    assert made.fc1.weight.isfinite().all()


#: (sampling rate, noise, steps, delta): epsilon by dp-accounting 0.6.0, with its Renyi accountant
#: and with that of privacy loss distributions, which is nearly exact.
ACCOUNTED = {
    (256 / 60000, 1.3, 3516, 1e-5): (0.9545639531461374, 0.8645889419787726),
    (256 / 60000, 1.1, 14063, 1e-5): (2.596655529521983, 2.381778812581751),
    (256 / 60000, 0.7, 10547, 1e-5): (6.31974800597639, 5.63971643638149),
    (0.1, 2.0, 400, 1e-4): (4.6889307325463125, 4.237681712258934),
    (0.025, 1.5, 1200, 1e-3): (2.178950888036722, 1.8977320697977442),
    (1.0, 5.0, 10, 1e-5): (2.8136532471298397, 2.594383440464893),
}


@pytest.mark.parametrize("given", ACCOUNTED)
def test_epsilon_is_that_of_another_accountant(given):
    rate, noise, steps, delta = given
    found = epsilon(noise_multiplier=noise, sampling_rate=rate, steps=steps, delta=delta)
    theirs, exact = ACCOUNTED[given]
    assert found == pytest.approx(theirs, rel=2e-3)
    assert found > exact


@pytest.mark.parametrize(("noise", "epochs", "printed"), [(1.3, 20, 1.34), (0.7, 70, 8.68)])
def test_epsilon_is_that_of_a_paper(noise, epochs, printed):
    """Bu, Dong, Long and Su, "Deep learning with Gaussian differential privacy", 2020, figure 4:
    the moments accountant on MNIST with batches of 256, by the older conversion to epsilon."""
    rate, steps = 256 / 60000, epochs * 60000 / 256
    orders = np.arange(1.5, 64, 0.1)
    older = [steps * renyi(a, noise, rate) - math.log(1e-5) / (a - 1) for a in orders]
    assert min(older) == pytest.approx(printed, rel=0.01)


@pytest.mark.parametrize("order", [2, 3, 17])
def test_whole_orders_have_a_closed_form(order):
    """Mironov, Talwar and Zhang 2019, section 3.3."""
    rate, noise = 0.03, 0.9
    terms = [
        math.comb(order, k) * (1 - rate) ** (order - k) * rate**k
        * math.exp((k * k - k) / (2 * noise**2))
        for k in range(order + 1)
    ]  # fmt: skip
    assert renyi(order, noise, rate) == pytest.approx(math.log(sum(terms)) / (order - 1), rel=1e-9)


def test_the_noise_for_a_budget_keeps_it():
    steps = {"sampling_rate": 0.1, "steps": 100, "delta": 1e-5}
    noise = noise_for(budget=2.0, **steps)
    assert 1.97 < epsilon(noise_multiplier=noise, **steps) <= 2
    with pytest.raises(InputError, match="cannot reach epsilon 1e-06 at delta 1e-05 in 100 steps"):
        noise_for(budget=1e-6, **steps)


def test_what_mixes_samples_is_refused():
    loop = loop_of([DPSGD(noise_multiplier=1), Mixup()])
    with pytest.raises(InputError, match="dp-sgd needs gradients of single samples"):
        loop.backward(batch(spiking=True))
    norm = TrainingLoop(
        VGG((1, 8, 8), 2, widths=(4,)), loop.samples, loop.recipe, as_images, seed=0
    )
    with pytest.raises(InputError, match="batch norm"):
        DPSGD(noise_multiplier=1)(norm)
