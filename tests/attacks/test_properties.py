"""What holds for every attack, whatever it computes."""

import pytest
import torch
from pydantic import ValidationError

from brainleaks import AccessError, BrainLeaksV1, BrainLeaksV2, Target
from brainleaks.attacks import (
    ATTACKS,
    BoundaryRepulsion,
    Fredrikson,
    Gamin,
    PatternInversion,
    ScoreEvolution,
    SmoothInversion,
    StatisticsInversion,
    StreamInversion,
)
from brainleaks.networks import MLP, ConvNet
from cut_off import CutOff
from gpu import NEEDS_GPU

ATTACKS_SMALL = [
    BrainLeaksV1(iterations=4, time_steps=9),
    BrainLeaksV2(iterations=4, time_steps=9, population=3),
    Fredrikson(iterations=30, learning_rate=20.0),
    # what it learns of all classes together is left out: it differs with the company
    SmoothInversion(iterations=6, time_steps=9, learning_rate=0.5, common_rate=0, knots=3, draws=2),
    StreamInversion(starts=3, iterations=30, filled=1.0, prior=0, learning_rate=0.5),
    StatisticsInversion(
        iterations=20, members=2, learning_rate=1.0, variation=0, shift=0, flip=False
    ),
    PatternInversion(looks=3, time_steps=9, rate=0.3, strength=2.0),
    ScoreEvolution(frequencies=4, probes=200, iterations=4, time_steps=9),
    BoundaryRepulsion(frequencies=4, probes=400, iterations=4, samples=4, time_steps=9),
    Gamin(iterations=40, samples=4, time_steps=9, hidden=32, generator_rate=0.01),
]
#: These learn from every answer for all classes together, so that the company matters.
SHARING = (ScoreEvolution, BoundaryRepulsion, Gamin)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
def snn(small_snn, request):
    """The small network on every device."""
    return small_snn.to(request.param)


def target_for(attack, snn, **settings):
    torch.manual_seed(5)
    ann = MLP((1, 4, 5), 6, hidden=30).to(snn.fc1.weight.device)
    network = ann if attack.spiking is False else snn
    return Target(network, input_shape=(1, 4, 5), classes=6, **settings)


def launch(attack, target, labels, monitor=None):
    generator = torch.Generator().manual_seed(11)
    return attack(target, labels, generator=generator, monitor=monitor)


@pytest.fixture(params=ATTACKS_SMALL, ids=lambda a: a.attack)
def attack(request):
    return request.param


def test_without_a_generator_it_is_always_the_same(attack, snn):
    target, labels = target_for(attack, snn), torch.arange(6)
    first, again = attack(target, labels), attack(target, labels)
    assert torch.equal(first, again)
    seeded = attack(target, labels, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first, seeded)
    other = attack(target, labels, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, other) != attack.random


def test_alone_or_in_company(attack, snn):
    """A class attacked alone gives what it gives among all, however memory splits them."""
    if isinstance(attack, SHARING):
        pytest.skip("its classes share queries and what is learned from them")
    target = target_for(attack, snn)
    labels = torch.tensor([4, 0, 2])
    together = launch(attack, target, labels)
    split = launch(attack, target_for(attack, snn, memory=1), labels)
    torch.testing.assert_close(together, split, rtol=1e-3, atol=1e-4)
    axis = 1 if target.spiking else 0
    for i, label in enumerate(labels):
        alone = launch(attack, target, label.reshape(1))
        torch.testing.assert_close(
            together.select(axis, i), alone.select(axis, 0), rtol=1e-3, atol=1e-4
        )


def test_raises_its_class_confidence(attack, snn):
    target, labels = target_for(attack, snn), torch.arange(6)
    result = launch(attack, target, labels)
    blank = torch.zeros_like(result)

    def own(inputs):
        response = target.network(inputs)
        trace = response.membrane if target.spiking else response.unsqueeze(0)
        return trace.softmax(-1).mean(0).diagonal().mean()

    assert own(result) > own(blank) + 0.02


def test_the_same_seed_gives_the_same_bytes(attack, snn):
    target, labels = target_for(attack, snn), torch.arange(6)
    assert torch.equal(launch(attack, target, labels), launch(attack, target, labels))


def test_goes_on_where_it_was_cut_off(attack, snn):
    target, labels = target_for(attack, snn), torch.arange(6)
    first = CutOff(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        launch(attack, target, labels, first)
    resumed = launch(attack, target, labels, CutOff(saved=first.saved, done=first.done))
    assert torch.equal(resumed, launch(attack, target, labels))


def test_refused_where_it_has_no_business(attack, snn):
    labels = torch.arange(6)
    less = {"gradients": "scores", "scores": "labels"}.get(attack.access)
    if less is not None:
        with pytest.raises(AccessError, match=f"grants only {less}"):
            launch(attack, target_for(attack, snn, access=less), labels)
    if attack.spiking is None:
        return
    other = MLP((1, 4, 5), 6) if attack.spiking else snn
    with pytest.raises(AccessError, match="networks; this target is"):
        launch(attack, Target(other, input_shape=(1, 4, 5), classes=6), labels)


def test_settings_are_typed_and_frozen(attack):
    cls = type(attack)
    assert ATTACKS[attack.attack] is cls
    with pytest.raises(ValidationError):
        cls(iterations=0)
    with pytest.raises(ValidationError):
        cls(no_such_field=1)
    with pytest.raises(AttributeError):
        attack.iterations = 3


def test_a_flat_gradient_flips_nothing():
    """A network that does not respond leaves v1 at silence rather than at NaN."""
    network = ConvNet((1, 4, 5), 6, kernel=3, padding=1)  # it is not split at its first layer
    network.spiking = True
    network.forward = lambda x: _flat(x)
    target = Target(network, input_shape=(1, 4, 5), classes=6)
    result = launch(BrainLeaksV1(iterations=2, time_steps=3), target, torch.arange(6))
    assert not result.any()


def _flat(x):
    from brainleaks.networks import Response

    trace = 0 * x.flatten(2).sum(-1, keepdim=True).expand(-1, -1, 6)
    return Response(trace, trace)
