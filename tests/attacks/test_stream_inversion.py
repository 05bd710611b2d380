"""Stream inversion finds what a network listens for."""

import pytest
import torch

from brainleaks import Target
from brainleaks.attacks import StreamInversion, suits
from brainleaks.data.codes import StreamCode
from brainleaks.data.dataset import Samples
from brainleaks.data.encoding import as_images
from brainleaks.evaluation.likeness import correlations
from brainleaks.networks import SpikingRecurrent
from brainleaks.networks.views import Coded
from brainleaks.neuron import FastSigmoid
from brainleaks.randomness import stream
from brainleaks.training import Recipe, accuracy, fit

STEPS, CHANNELS, CLASSES = 30, 16, 4


def recordings(count, seed):
    """Each class fires at two places in time and channel of its own, and then it is silent."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    t, n = torch.meshgrid(torch.arange(STEPS), torch.arange(CHANNELS), indexing="ij")
    first, second = 2.0 + 4 * labels, 13.0 - 4 * labels
    shift = torch.randn(count, generator=draw)
    rate = torch.zeros(count, STEPS, CHANNELS)
    for channel, time in ((first, 4), (second, 13)):
        far = (n - channel.view(-1, 1, 1)) ** 2 / 6 + (t - time - shift.view(-1, 1, 1)) ** 2 / 12
        rate += 0.9 * torch.exp(-far)
    spikes = torch.rand(rate.shape, generator=draw) < rate
    return Samples(spikes.float().unsqueeze(1), labels)


@pytest.fixture(scope="module")
def target():
    torch.manual_seed(0)
    network = SpikingRecurrent(
        (1, 1, CHANNELS), CLASSES, hidden=60, beta=0.9, surrogate=FastSigmoid(10)
    )
    coded, recipe = Coded(network, StreamCode(STEPS), STEPS), Recipe(3e-3, 20, 12, 1.0)
    fit(coded, recordings(400, 0), recipe, encode=as_images, generator=stream(0, "training"))
    how = {"encode": as_images, "readout": "membrane", "generator": stream(0, "test")}
    assert accuracy(coded, recordings(100, 1), **how) > 0.95
    return Target(coded, input_shape=(1, STEPS, CHANNELS), classes=CLASSES)


def test_reconstructions_resemble_their_own_class(target):
    found = StreamInversion(filled=0.6)(target, torch.arange(CLASSES))
    real = recordings(400, 2)
    means = torch.stack([real.inputs[real.labels == c].mean(0) for c in range(CLASSES)])
    matrix = correlations(found - found.mean(0), means - means.mean(0))
    assert torch.equal(matrix.argmax(1), torch.arange(CLASSES))
    assert float(matrix.diag().mean()) > 0.5
    noise = StreamInversion(filled=0.6, iterations=1)(target, torch.arange(CLASSES))
    before = correlations(noise - noise.mean(0), means - means.mean(0)).diag().mean()
    assert float(matrix.diag().mean()) > float(before) + 0.2


def test_they_last_as_long_as_is_said(target):
    short, whole = (
        StreamInversion(filled=filled, iterations=3)(target, torch.arange(2)) for filled in (0.4, 1)
    )
    assert float(short[:, :, 18:].max()) < 0.05 < float(short[:, :, :9].mean())
    assert float(whole[:, :, 18:].mean()) > 0.05


def test_it_is_for_streams_alone():
    assert suits(StreamInversion(), "stream")
    assert not suits(StreamInversion(), "direct")
    assert not suits(StreamInversion(), None)
