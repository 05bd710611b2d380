"""Defences of training: parts of the loop, one at a time."""

import math
from functools import partial

import pytest
import torch
from torch.nn import functional

from brainleaks import FastSigmoid, InputError
from brainleaks.data import Samples
from brainleaks.data.encoding import RateCode, as_images
from brainleaks.defences.bido import BiDO, hsic
from brainleaks.defences.dropout import Dropout
from brainleaks.defences.early_stopping import EarlyStopping
from brainleaks.defences.event_drop import EventDrop
from brainleaks.defences.label_smoothing import LabelSmoothing
from brainleaks.defences.mixup import Mixup
from brainleaks.defences.spike_rate import SpikeRateRegularisation
from brainleaks.defences.weight_decay import WeightDecay
from brainleaks.monitor import Monitor
from brainleaks.networks import MLP, Response, SpikingConvNet, SpikingMLP
from brainleaks.neuron import LIF
from brainleaks.training import Batch, Recipe, TrainingLoop, fit, summed_cross_entropy

SHAPE = (1, 4, 5)
RECIPE = Recipe(learning_rate=1e-2, batch_size=8, epochs=3)


def spiking(hidden=30):
    torch.manual_seed(0)
    return SpikingMLP(SHAPE, 4, hidden=hidden, beta=0.7, surrogate=FastSigmoid(40))


def ordinary():
    torch.manual_seed(0)
    return MLP(SHAPE, 4, hidden=30)


def samples(count=32):
    generator = torch.Generator().manual_seed(0)
    return Samples(torch.rand(count, *SHAPE, generator=generator), torch.arange(count) % 4)


def loop_of(network, *defences, encode=None, recipe=RECIPE, data=None):
    encode = encode or (RateCode(6) if network.spiking else as_images)
    loop = TrainingLoop(network, data or samples(), recipe, encode, seed=1)
    for defence in defences:
        defence(loop)
    return loop


def trained(network, *defences, recipe=RECIPE, **how):
    encode = RateCode(6) if network.spiking else as_images
    generator = torch.Generator().manual_seed(3)
    facts = fit(
        network, samples(), recipe, encode=encode, generator=generator, defences=defences, **how
    )
    return network, facts


def batch(spiking=True):
    generator = torch.Generator().manual_seed(7)
    images = torch.rand(8, *SHAPE, generator=generator)
    inputs = torch.bernoulli(images.expand(6, *images.shape), generator=generator)
    return Batch(inputs if spiking else images, torch.arange(8) % 4)


def test_label_smoothing_by_hand():
    loop = loop_of(ordinary(), LabelSmoothing(smoothing=-0.4))
    (transform,) = loop.transforms
    targets = transform(batch(spiking=False)).targets
    expected = torch.full((8, 4), -0.1)
    expected[torch.arange(8), torch.arange(8) % 4] = 1.3
    torch.testing.assert_close(targets, expected)


def test_smoothing_is_torchs():
    """Where it is positive; the loss sums over time and is the mean over the batch."""
    trace = torch.randn(3, 8, 4, dtype=torch.float64)
    labels = torch.arange(8) % 4
    (transform,) = loop_of(ordinary(), LabelSmoothing(smoothing=0.3)).transforms
    targets = transform(Batch(torch.empty(8), labels)).targets.double()
    expected = sum(functional.cross_entropy(u, labels, label_smoothing=0.3) for u in trace)
    torch.testing.assert_close(summed_cross_entropy(Response(None, trace), targets), expected)


def test_classes_are_the_networks_even_where_the_data_lacks_some():
    few = samples(8)._replace(labels=torch.zeros(8, dtype=torch.long))
    loop = loop_of(ordinary(), LabelSmoothing(), Mixup(), data=few)
    assert loop.classes == 4
    mixed = batch(spiking=False)._replace(targets=torch.zeros(8, dtype=torch.long))
    for transform in loop.transforms:
        mixed = transform(mixed)
    torch.testing.assert_close(mixed.targets, torch.tensor([[0.925, 0.025, 0.025, 0.025]] * 8))


@pytest.mark.parametrize(("done", "share"), [(0, 0), (0.5, 0), (0.625, -0.5), (0.75, -1), (1, -1)])
def test_smoothing_grows_along_its_ramp(done, share):
    assert LabelSmoothing(smoothing=-1, ramp=(0.5, 0.75)).at(done) == pytest.approx(share)


def test_mixup_of_images_and_of_spikes():
    (mix,) = loop_of(ordinary(), Mixup()).transforms
    plain, mixed = batch(spiking=False), mix(batch(spiking=False))
    torch.testing.assert_close(mixed.targets.sum(1), torch.ones(8))
    share = float(mixed.targets[torch.arange(8), plain.targets].min())
    others = (mixed.inputs - share * plain.inputs) / (1 - share)
    nearest = torch.cdist(others.flatten(1), plain.inputs.flatten(1)).min(1).values
    assert float(nearest.max()) < 1e-4  # what is added is one of the batch
    (mix,) = loop_of(spiking(), Mixup()).transforms
    assert set(mix(batch()).inputs.unique().tolist()) == {0, 1}


def test_event_drop_only_drops():
    (drop,) = loop_of(spiking(), EventDrop(share=0.25)).transforms
    before = Batch(torch.ones(50, 20, *SHAPE), torch.zeros(20, dtype=torch.long))
    after = drop(before).inputs
    assert set(after.unique().tolist()) == {0, 1}
    assert float(after.mean()) == pytest.approx(0.75, abs=0.02)
    with pytest.raises(InputError, match="event-drop drops spikes"):
        loop_of(ordinary(), EventDrop())


def test_weight_decay_is_adamw():
    network, _ = trained(ordinary(), WeightDecay(decay=0.3))
    torch.manual_seed(0)
    other = MLP(SHAPE, 4, hidden=30)
    optimiser = torch.optim.AdamW(other.parameters(), RECIPE.learning_rate, weight_decay=0.3)
    loop = TrainingLoop(other, samples(), RECIPE, as_images, seed=int(torch.randint(
        2**62, (), generator=torch.Generator().manual_seed(3))))  # fmt: skip
    from brainleaks.randomness import stream

    for epoch in range(RECIPE.epochs):
        for places in loop.deal(stream(loop.seed, "order", epoch)):
            optimiser.zero_grad()
            out = other(loop.samples.inputs[places])
            functional.cross_entropy(out, loop.samples.labels[places]).backward()
            optimiser.step()
    torch.testing.assert_close(network.fc1.weight, other.fc1.weight)


def test_dropout_silences_whole_neurons_while_training():
    network = spiking(hidden=400)
    network.fc1.bias.data += 2  # every neuron fires
    loop = loop_of(network, Dropout(share=0.25))
    seen = []
    network.fc2.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with loop._training():
        network(batch().inputs)
    network(batch().inputs)
    dropped, whole = seen
    silent = (dropped == 0).all(0)
    fires = whole > 0
    assert torch.equal(silent.expand_as(dropped)[fires], (dropped == 0)[fires])
    assert float(silent.float().mean()) == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 4 / 3]))


def test_dropout_of_an_ordinary_network():
    network, given = ordinary(), []
    loop = loop_of(network, Dropout(share=0.5))
    network.fc2.register_forward_pre_hook(lambda _, values: given.append(values[0]))
    with loop._training():
        network(batch(spiking=False).inputs)
    assert float((given[0] == 0).float().mean()) == pytest.approx(0.5, abs=0.1)


def test_spike_rate_is_priced():
    network, batch_ = spiking(), batch()
    network.fc1.weight.data *= 4
    loop = loop_of(network, SpikeRateRegularisation(strength=2.5))
    with loop._training():
        response = network(batch_.inputs)
        hidden = network.lif1(network.drive(batch_.inputs))[0]
        plain = summed_cross_entropy(response, batch_.targets)
        loop.penalties[0]()  # what the second call of the layer counted goes with it
        response = network(batch_.inputs)
        found = loop.loss(response, batch_.targets) - plain
    torch.testing.assert_close(found, 2.5 * hidden.sum(0).mean())
    with pytest.raises(InputError, match="needs hidden spiking neurons"):
        loop_of(ordinary(), SpikeRateRegularisation())


def test_it_lowers_the_rate_of_spikes():
    def rate(network):
        return float(network.lif1(network.drive(batch().inputs))[0].detach().mean())

    plain, _ = trained(spiking())
    priced, _ = trained(spiking(), SpikeRateRegularisation(strength=20))
    assert rate(priced) < 0.7 * rate(plain)


def test_early_stopping_keeps_the_best_epoch():
    """On labels at random the held-out loss soon rises."""
    data = samples(60)._replace(labels=torch.randint(4, (60,)))
    recipe = Recipe(learning_rate=0.05, batch_size=8, epochs=40)
    network, seen = ordinary(), {}

    class Watched(Monitor):
        def advance(self, iteration, state, **headline):
            seen[iteration + 1] = {k: v.clone() for k, v in state.items()}

    facts = fit(
        network, data, recipe, encode=as_images, generator=torch.Generator().manual_seed(0),
        defences=[EarlyStopping(patience=2, share=0.2)], monitor=Watched(),
    )  # fmt: skip
    best = facts["early-stopping"]["epochs"]
    assert max(seen) == best + 2 < 40
    if best:
        kept = {n: seen[best][f"weights.{n}"] for n, _ in network.named_parameters()}
        assert all(torch.equal(p, kept[n]) for n, p in network.named_parameters())


def test_hsic_by_hand():
    """``tr(K H L H) / (n - 1)^2`` with both kernels written out; none for a constant."""
    first, second = torch.rand(6, 3, dtype=torch.float64), torch.rand(6, 2, dtype=torch.float64)
    centre = torch.eye(6, dtype=torch.float64) - 1 / 6
    kernels = [
        torch.tensor(
            [[math.exp(-float(((a - b) ** 2).sum()) / (50 * len(a))) for b in v] for a in v]
        )
        for v in (first, second)
    ]
    k, other = (kernel.double() for kernel in kernels)
    expected = torch.trace(k @ centre @ other @ centre) / 25
    torch.testing.assert_close(hsic(first, second), expected, atol=1e-9, rtol=1e-5)
    assert float(hsic(first, torch.ones(6, 2, dtype=torch.float64))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "defence",
    [
        LabelSmoothing(), Mixup(), WeightDecay(), Dropout(), SpikeRateRegularisation(), BiDO(),
        EventDrop(), EarlyStopping(),
    ],
    ids=lambda defence: defence.name,
)  # fmt: skip
def test_every_defence_trains_and_leaves_no_hook(defence):
    plain, _ = trained(spiking())
    network, _ = trained(spiking(), defence)
    assert not torch.equal(network.fc1.weight, plain.fc1.weight)
    hooks = [m._forward_hooks or m._forward_pre_hooks for m in network.modules()]
    assert not any(hooks)
    assert not network.training


def test_defences_of_a_convolutional_network():
    torch.manual_seed(0)
    network = SpikingConvNet((1, 12, 12), 4, kernel=3, beta=0.7, surrogate=FastSigmoid(40))
    data = Samples(torch.rand(16, 1, 12, 12), torch.arange(16) % 4)
    recipe = Recipe(learning_rate=1e-3, batch_size=8, epochs=1)
    defences = [Mixup(), Dropout(), BiDO(), SpikeRateRegularisation()]
    fit(network, data, recipe, encode=RateCode(3), generator=torch.Generator(), defences=defences)
    assert sum(isinstance(m, LIF) for m in network.modules()) == 3


def test_an_interrupted_training_goes_on_with_what_the_defence_kept():
    class CutOff(Monitor):
        def __init__(self, after):
            self.after, self.saved, self.done = after, None, 0

        def resume(self, start):
            return self.saved or start

        def remaining(self, iterations):
            yield from range(self.done, iterations)

        def advance(self, iteration, state, **headline):
            self.saved, self.done = {k: v.clone() for k, v in state.items()}, iteration + 1
            if self.done == self.after:
                raise KeyboardInterrupt

    defences = (EarlyStopping(patience=9), Mixup(), Dropout())
    recipe = Recipe(learning_rate=1e-2, batch_size=8, epochs=5)
    whole, told = trained(ordinary(), *defences, recipe=recipe)
    monitor = CutOff(2)
    cut = partial(trained, recipe=recipe, monitor=monitor)
    with pytest.raises(KeyboardInterrupt):
        cut(ordinary(), *defences)
    again, found = cut(ordinary(), *defences)
    assert found == told
    assert torch.equal(whole.fc1.weight, again.fc1.weight)
