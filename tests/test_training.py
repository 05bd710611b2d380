import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from brainleaks import FastSigmoid
from brainleaks.data.dataset import Samples, SpikeTrains
from brainleaks.data.encoding import RateCode, as_images, bernoulli
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.networks import MLP, VGG, Response, SpikingMLP, respond
from brainleaks.randomness import stream
from brainleaks.training import (
    LocalTraining,
    Recipe,
    accuracy,
    fit,
    gradients,
    settings,
    summed_cross_entropy,
    update,
)
from brainleaks.training.augmentation import crop_and_flip
from cut_off import CutOff


@pytest.fixture
def samples():
    """Six classes, each with a bright pixel of its own."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 6
    images = 0.3 * torch.rand(120, 1, 4, 5, generator=generator)
    images.flatten(1)[torch.arange(120), 3 * labels] = 0.9
    return Samples(images, labels)


RECIPE = Recipe(learning_rate=0.01, batch_size=20, epochs=6, gradient_clip=1.0)


def train(network, samples, recipe=RECIPE, monitor=None, encode=None):
    generator = torch.Generator().manual_seed(7)
    fit(
        network,
        samples,
        recipe,
        encode=encode or RateCode(12),
        generator=generator,
        monitor=monitor,
    )
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def test_learns(small_snn, samples):
    train(small_snn, samples)
    for readout in ("membrane", "spikes"):
        share = accuracy(
            small_snn, samples, encode=RateCode(12), readout=readout, generator=torch.Generator()
        )
        assert share > 0.9


def test_one_step_is_adam_on_the_clipped_gradient():
    torch.manual_seed(0)
    network, twin = MLP((1, 4, 5), 6, hidden=8), MLP((1, 4, 5), 6, hidden=8)
    twin.load_state_dict(network.state_dict())
    samples = Samples(torch.rand(10, 1, 4, 5), torch.arange(10) % 6)
    recipe = Recipe(learning_rate=0.05, batch_size=10, epochs=2, gradient_clip=0.01)
    train(network, samples, recipe, encode=as_images)
    adam = torch.optim.Adam(twin.parameters(), 0.05, betas=(0.9, 0.999))
    for _ in range(2):
        adam.zero_grad()
        functional.cross_entropy(twin(samples.inputs), samples.labels).backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.01)
        adam.step()
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("readout", ["membrane", "spikes"])
def test_an_epoch_reports_what_the_readout_got_right(small_snn, samples, readout):
    """The first epoch's only batch is answered by the network as it was before the step."""
    spikes = bernoulli(samples.inputs.expand(12, *samples.inputs.shape), torch.Generator())
    watched = Watched()
    recipe = Recipe(learning_rate=0.01, batch_size=120, epochs=1)
    common = {"encode": lambda inputs, _: spikes, "generator": torch.Generator()}
    response = getattr(respond(small_snn, spikes), readout).sum(0).argmax(1)
    in_order = Samples(samples.inputs, torch.zeros(120, dtype=torch.long))
    fit(small_snn, in_order, recipe, **common, readout=readout, monitor=watched)
    assert watched.headlines[0]["accuracy"] == pytest.approx(float((response == 0).float().mean()))
    assert watched.headlines[0].keys() == {"loss", "accuracy"}


class Watched(Monitor):
    def __init__(self):
        self.headlines = []

    def advance(self, iteration, state, **headline):
        self.headlines.append(headline)


def test_loss_is_summed_over_time():
    membrane = torch.randn(5, 3, 4)
    labels = torch.tensor([0, 3, 1])
    expected = sum(functional.cross_entropy(step, labels) for step in membrane)
    torch.testing.assert_close(summed_cross_entropy(Response(None, membrane), labels), expected)


def test_goes_on_where_it_was_cut_off(small_snn, samples):
    other = copy.deepcopy(small_snn)
    whole = train(small_snn, samples)
    cut = CutOff(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        train(copy.deepcopy(other), samples, monitor=cut)
    resumed = train(other, samples, monitor=CutOff(saved=cut.saved, done=cut.done))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_rate_code_is_bernoulli_and_fresh():
    images = torch.tensor([0.0, 0.25, 1.0]).expand(4000, 3)
    generator = torch.Generator().manual_seed(0)
    spikes = RateCode(3)(images, generator)
    assert spikes.shape == (3, 4000, 3)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    rates = spikes.mean((0, 1))
    assert rates[0] == 0
    assert rates[2] == 1
    assert abs(rates[1] - 0.25) < 4 * (0.25 * 0.75 / 12000) ** 0.5
    assert not torch.equal(spikes, RateCode(3)(images, generator))
    assert not torch.equal(spikes[0], spikes[1])


def test_bernoulli_follows_its_generator():
    rates = torch.rand(50, 4)
    draws = [bernoulli(rates, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_recordings_are_measured_in_batches_as_they_were_trained():
    """One recording is long, the others are padded with silence, which their membrane counts."""
    torch.manual_seed(0)
    lengths, shape = [3, 40, 5, 6], (1, 4, 5)
    pixels = [torch.randint(20, (length,)) for length in lengths]  # one pixel a frame
    trains = SpikeTrains(
        torch.cat(pixels).numpy(),
        np.arange(sum(lengths) + 1),
        np.cumsum([0, *lengths]),
        shape,
    )
    network = SpikingMLP(shape, 4, hidden=30, beta=0.9, surrogate=FastSigmoid(25))
    network.fc2.weight.data *= 4

    def predicted(batch):
        return respond(network, trains[batch]).membrane.sum(0).argmax(1)

    together = predicted(torch.arange(4))
    apart = torch.cat([predicted(one) for one in torch.arange(4).split(1)])
    assert not torch.equal(together, apart)
    for size, labels in ((4, together), (1, apart)):
        found = accuracy(
            network,
            Samples(trains, labels),
            encode=as_images,
            readout="membrane",
            generator=torch.Generator(),
            batch_size=size,
        )
        assert found == 1


def test_a_falling_learning_rate_is_torchs_cosine(small_snn, samples):
    """Of single steps: what each Adam step was made with, beside torch's own schedule."""
    recipe = Recipe(learning_rate=0.02, batch_size=50, epochs=3, schedule="cosine")
    rates = []
    real = torch.optim.Adam.step

    def step(self, *given):
        rates.append(self.param_groups[0]["lr"])
        return real(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", step)
        train(small_snn, samples, recipe)
    some = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(some, T_max=9)
    expected = []
    for _ in range(9):  # three batches of 120 samples an epoch
        expected.append(schedule.get_last_lr()[0])
        some.step()
        schedule.step()
    assert rates == pytest.approx(expected)


def test_what_a_recipe_does_not_use_is_not_in_its_settings():
    """They are part of what identifies a training; older trainings keep their identity."""
    plain = {"learning_rate": 0.01, "batch_size": 20, "epochs": 6, "gradient_clip": 1.0}
    assert settings(RECIPE) == plain
    more = {"schedule": "cosine", "crop": 4, "flip": True}
    assert settings(Recipe(**plain, **more)) == plain | more


def test_images_are_shifted_and_mirrored_as_a_loop_does():
    images = torch.rand(40, 2, 5, 6)
    found = crop_and_flip(images, 2, torch.Generator().manual_seed(0), flip=True)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
    kinds = set()
    for image, around in zip(found.numpy(), padded, strict=True):
        ways = {
            (dy, dx, mirrored): around[:, dy : dy + 5, dx : dx + 6][:, :, :: -1 if mirrored else 1]
            for dy in range(5) for dx in range(5) for mirrored in (False, True)
        }  # fmt: skip
        fitting = [way for way, expected in ways.items() if np.array_equal(image, expected)]
        assert len(fitting) == 1
        kinds |= {("y", fitting[0][0]), ("x", fitting[0][1]), ("flip", fitting[0][2])}
    assert len(kinds) == 5 + 5 + 2
    still = crop_and_flip(images, 0, torch.Generator(), flip=False)
    assert torch.equal(still, images)


def test_an_augmented_training_with_batch_norm_goes_on_where_it_was_cut_off(samples):
    """Running averages are part of the checkpoint."""
    torch.manual_seed(0)
    network = VGG((1, 4, 5), 6, widths=(4,))
    recipe = Recipe(
        learning_rate=0.01, batch_size=20, epochs=4, schedule="cosine", crop=1, flip=True
    )
    whole, other = copy.deepcopy(network), copy.deepcopy(network)
    train(whole, samples, recipe, encode=as_images)
    cut = CutOff(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        train(network, samples, recipe, monitor=cut, encode=as_images)
    again = CutOff(saved=cut.saved, done=cut.done)
    train(other, samples, recipe, monitor=again, encode=as_images)
    wanted, found = whole.state_dict(), other.state_dict()
    assert int(wanted["norms.0.num_batches_tracked"]) == 24
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_recordings_are_not_shifted(small_snn):
    trains = SpikeTrains(*(np.zeros(2, np.int64) for _ in range(3)), shape=(1, 4, 5))
    few = Samples(trains, torch.zeros(1, dtype=torch.long))
    recipe = Recipe(learning_rate=0.01, batch_size=1, epochs=1, flip=True)
    with pytest.raises(InputError, match="crop and flip support images only"):
        train(small_snn, few, recipe)


def test_local_training_of_one_step_sends_the_gradient():
    torch.manual_seed(0)
    network = MLP((1, 4, 4), 3, hidden=8).double()
    inputs, labels = torch.rand(6, 1, 4, 4, dtype=torch.double), torch.arange(6) % 3
    local = LocalTraining(learning_rate=0.1)
    sent = update(network, [inputs], labels, local, generator=torch.Generator())
    wanted = gradients(network, inputs, labels)
    assert sent.keys() == wanted.keys()
    assert all(torch.allclose(sent[name], wanted[name], atol=1e-12) for name in sent)


def test_local_training_sends_the_mean_gradient_of_its_steps():
    """Two epochs of two steps, by hand."""
    torch.manual_seed(0)
    network = MLP((1, 4, 4), 3, hidden=8).double()
    inputs, labels = torch.rand(4, 1, 4, 4, dtype=torch.double), torch.tensor([0, 1, 2, 0])
    local = LocalTraining(epochs=2, batch_size=2, learning_rate=0.1)
    sent = update(network, [inputs] * 2, labels, local, generator=stream(0, "order"))
    order, by_hand, total = stream(0, "order"), copy.deepcopy(network), 0
    for _ in range(2):
        for some in torch.randperm(4, generator=order).split(2):
            found = gradients(by_hand, inputs[some], labels[some])
            total = total + found["fc1.weight"]
            with torch.no_grad():
                for name, value in by_hand.named_parameters():
                    value -= 0.1 * found[name]
    assert torch.allclose(sent["fc1.weight"], total / 4, atol=1e-12)
