"""ART's way of calling gives what the attack gives."""

import doctest

import numpy as np
import pytest
import torch

from brainleaks import AccessError, BrainLeaksV1, Fredrikson, InputError, Target, art
from brainleaks.art import ModelInversion


def test_example():
    found = doctest.testmod(art)
    assert (found.attempted > 0, found.failed) == (True, 0)


def test_infer_is_the_attack(small_snn):
    target = Target(small_snn, input_shape=(1, 4, 5), classes=6)
    attack = BrainLeaksV1(iterations=3, time_steps=4)
    generator = torch.Generator().manual_seed(2)
    expected = attack(target, torch.tensor([1, 4]), generator=generator).mean(0).numpy()
    inversion = ModelInversion(target, attack, seed=2)
    found = inversion.infer(np.zeros((3, 1, 4, 5)), y=np.array([4, 1, 4]))
    assert found.dtype == np.float32
    assert np.array_equal(found, expected[[1, 0, 1]])
    assert np.array_equal(inversion.infer(None, np.eye(6)[[4, 1, 4]]), found)


def test_what_is_no_label_is_named(small_snn):
    inversion = ModelInversion(Target(small_snn, input_shape=(1, 4, 5), classes=6), BrainLeaksV1())
    for y in (None, [], [6], [-1], [0.5], np.zeros((1, 1, 1))):
        with pytest.raises(InputError, match="y: expected one or more labels, 0 to 5"):
            inversion.infer(None, y)
    with pytest.raises(InputError, match="pass None or zeros"):
        inversion.infer(np.ones((1, 1, 4, 5)), [0])


def test_access_is_asked_for(small_snn):
    target = Target(small_snn, input_shape=(1, 4, 5), classes=6, access="scores")
    with pytest.raises(AccessError):
        ModelInversion(target, BrainLeaksV1()).infer(None, [0])
    with pytest.raises(AccessError):
        ModelInversion(target, Fredrikson()).infer(None, [0])
