"""Redrawn weights beside the attack on initial ones, which knows of the defence."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from brainleaks.attacks.beginning import recover_initial_weights
from brainleaks.data import Samples
from brainleaks.defences.redraw_dead_inputs import RedrawDeadInputs

SEED = 3_123_456_789
NOTHING, AROUND = (0, 0), (SEED - 1000, SEED + 1000)


def trained(*, numbers_before):
    """A network on digits of 8 x 8 pixels in 14 x 14, and its training set."""
    images, labels = load_digits(return_X_y=True)
    frame = torch.zeros(300, 1, 14, 14)
    frame[:, 0, 3:11, 3:11] = torch.from_numpy(images[:300]).float().view(-1, 8, 8) / 16
    samples = Samples(frame, torch.from_numpy(labels[:300]))
    torch.manual_seed(SEED)
    torch.rand(numbers_before)
    network = nn.Sequential(nn.Flatten(), nn.Linear(196, 40), nn.Tanh(), nn.Linear(40, 10))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(frame), samples.labels).backward()
        optimiser.step()
    return network, samples


@pytest.mark.parametrize("seed", [1, 2**40 + 5])
def test_the_state_of_the_generator_is_gone(seed):
    """Before, dead inputs give it away; what is found after is at most the redraw's own."""
    network, samples = trained(numbers_before=10_007)
    plain = recover_initial_weights(network.state_dict(), seeds=NOTHING)
    assert (plain.seed, plain.method) == (SEED, "state")
    redrawn = RedrawDeadInputs()(network, samples, generator=torch.Generator().manual_seed(seed))
    found = recover_initial_weights(redrawn.state_dict(), seeds=NOTHING)
    assert found.seed != SEED
    again = {name: one for name, one in found.redrawn.items() if name != "1.weight"}
    assert not again


def test_a_network_that_was_drawn_first_is_still_found_by_its_likeness():
    """The limit that the docstring states: the attacker leaves the redrawn weights out."""
    network, samples = trained(numbers_before=0)
    redrawn = RedrawDeadInputs()(network, samples, generator=torch.Generator().manual_seed(1))
    weights = dict(redrawn.state_dict())
    misled = recover_initial_weights(weights, seeds=AROUND)
    assert misled.seed == 1  # the redraw's own generator
    dead = (samples.inputs == 0).all(0).flatten()
    weights["1.weight"] = weights["1.weight"].masked_fill(dead, 0)
    found = recover_initial_weights(weights, seeds=AROUND)
    assert (found.seed, found.method) == (SEED, "likeness")
