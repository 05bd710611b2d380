"""Replaying spike vectors: which are those of a sample, and in which order."""

import pytest
import torch

from brainleaks.attacks.gradients.replay import Replay, replayable
from brainleaks.attacks.gradients.separation import span
from brainleaks.networks import MLP, SpikingMLP
from brainleaks.neuron import FastSigmoid
from brainleaks.training import gradients

SHAPE, STEPS = (1, 20, 20), 6


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SpikingMLP(SHAPE, 4, hidden=200, beta=0.7, surrogate=FastSigmoid(40))


def recordings(size, silent=()):
    """Sparse spikes, of which some time steps of every sample are silent."""
    draw = torch.Generator().manual_seed(0)
    made = (torch.rand(STEPS, size, *SHAPE, generator=draw) < 0.1).float()
    made[list(silent)] = 0
    return made


def replay(network, inputs, vectors):
    labels = torch.arange(inputs.shape[1]) % 4
    gradient = gradients(network, inputs, labels)["fc1.weight"]
    space = span(gradient, vectors.shape[0])
    return Replay(network, gradient, space.basis, vectors)


def fired(inputs):
    vectors = inputs.flatten(2).flatten(0, 1)
    vectors = vectors[vectors.any(1)]
    return vectors[torch.randperm(len(vectors), generator=torch.Generator().manual_seed(1))]


def same(found, inputs):
    samples = {sample.bool().numpy().tobytes() for sample in inputs.flatten(2).unbind(1)}
    return {sample.bool().numpy().tobytes() for sample in found} == samples


def test_vectors_in_any_order_become_the_samples(network):
    inputs = recordings(3)
    assert same(replay(network, inputs, fired(inputs)).samples(STEPS), inputs)


@pytest.mark.parametrize("silent", [(1,), (2, 3), (5,)])
def test_silent_steps_are_bridged(network, silent):
    inputs = recordings(2, silent)
    assert same(replay(network, inputs, fired(inputs)).samples(STEPS), inputs)


def test_sums_in_the_span_are_told_from_what_was_seen(network):
    """Two vectors, one within the other: their difference is binary and in the span as well."""
    inputs = recordings(2)
    inputs[3, 0] = inputs[2, 0].maximum(inputs[3, 0])
    vectors = fired(inputs)
    larger = (vectors == inputs[3, 0].flatten()).all(1)
    vectors[larger] -= inputs[2, 0].flatten()
    assert not (vectors == inputs[3, 0].flatten()).all(1).any()
    assert same(replay(network, inputs, vectors).samples(STEPS), inputs)


def test_a_sample_ends_where_a_vector_is_missing(network):
    inputs = recordings(1)
    vectors = fired(inputs)
    vectors = vectors[~(vectors == inputs[4, 0].flatten()).all(1)]
    labels = torch.zeros(1, dtype=torch.long)
    gradient = gradients(network, inputs, labels)["fc1.weight"]
    found = Replay(network, gradient, span(gradient, STEPS).basis, vectors).samples(STEPS)
    assert len(found) == 1
    assert torch.equal(found[0], inputs[:4, 0].flatten(1))


def test_vectors_of_another_batch_begin_no_sample(network):
    inputs = recordings(2)
    others = fired(recordings(3)[:, 2:])
    labels = torch.tensor([0, 1])
    gradient = gradients(network, inputs, labels)["fc1.weight"]
    found = Replay(network, gradient, span(gradient, 2 * STEPS).basis, others).samples(STEPS)
    assert found == []


def test_a_narrow_layer_has_no_room_for_silent_steps():
    """12 vectors and two steps of 4 classes fill 20 dimensions: any vector would fit."""
    torch.manual_seed(0)
    narrow = SpikingMLP(SHAPE, 4, hidden=20, beta=0.7, surrogate=FastSigmoid(40))
    inputs = recordings(2)
    gradient = gradients(narrow, inputs, torch.tensor([0, 1]))["fc1.weight"]
    basis = span(gradient, 2 * STEPS).basis
    others = fired(recordings(3)[:, 2:])
    assert Replay(narrow, gradient, basis, others).samples(STEPS) == []
    assert same(Replay(narrow, gradient, basis, fired(inputs)).samples(STEPS), inputs)


def test_only_two_layers_with_room_are_replayed(network):
    assert replayable(network, 195)
    assert not replayable(network, 196)
    assert not replayable(MLP(SHAPE, 4, hidden=200), 6)
