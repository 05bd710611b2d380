"""Initial weights from trained ones: torch is the reference for every draw."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from brainleaks import FastSigmoid, InputError
from brainleaks.attacks.beginning import recover_initial_weights, sentences
from brainleaks.attacks.beginning.draws import Uniform, unchanged, uniforms
from brainleaks.attacks.beginning.mersenne import advance, draw, find_seed, run_back, seeded
from brainleaks.attacks.beginning.places import redraw_all
from brainleaks.attacks.beginning.seeds import matching_seeds, similar_seeds
from brainleaks.attacks.beginning.state import solve
from brainleaks.networks import SpikingMLP

#: A seed above 2^31, and a window of seeds around it for searches.
SEED = 3_141_592_653
AROUND = (SEED - 3_000, SEED + 5_000)
NOTHING = (0, 1)


@pytest.mark.parametrize("seed", [0, 1, 42, SEED, 2**32 - 1, 2**40 + 7])
@pytest.mark.parametrize("size", [1, 15, 16, 623, 624, 625, 20_000])
def test_outputs_are_torchs(seed, size):
    torch.manual_seed(seed)
    drawn = torch.empty(size, dtype=torch.int32).random_().numpy()  # 31 bits of an output each
    assert (draw(seeded(seed), size) & 0x7FFFFFFF == drawn).all()


@pytest.mark.parametrize("shape", [(3,), (15, 1), (16, 1), (10, 100), (300, 784)])
def test_uniform_numbers_are_torchs_to_the_bit(shape):
    torch.manual_seed(SEED)
    expected = torch.empty(shape).uniform_(-0.0357, 0.0357).numpy()
    outputs = draw(seeded(SEED), math.prod(shape)).reshape(shape)
    ways = [Uniform("", -0.0357, 0.0357, fused)(outputs) for fused in (True, False)]
    assert any((way == expected).all() for way in ways)


def test_windows_advance_and_run_back():
    window = seeded(7)
    assert (draw(advance(window, 1_700), 50) == draw(window, 1_750)[1_700:]).all()
    assert (draw(run_back(advance(window, 1_700), 1_000), 50) == draw(window, 750)[700:]).all()


@pytest.mark.parametrize("made", [0, 1, 623, 624, 3_000_000])
def test_the_seed_of_a_window(made):
    assert find_seed(advance(seeded(SEED), made), 4_000_000) == (SEED, made)


def test_no_seed_within_the_limit():
    assert find_seed(advance(seeded(SEED), 5_000), 4_999) is None


@pytest.mark.parametrize("uniform", uniforms((30, 20)), ids=lambda u: u.name)
@pytest.mark.parametrize("fused", [True, False])
def test_bits_of_draws(uniform, fused):
    uniform = Uniform(uniform.name, uniform.low, uniform.high, fused)
    outputs = draw(seeded(5), 600) & 0xFFFFFF
    bits, certain = uniform.invert(uniform(outputs))
    assert not ((bits ^ outputs) & certain).any()
    assert np.bitwise_count(certain).mean() > 22


@pytest.mark.parametrize(
    "initialise",
    [
        nn.init.xavier_uniform_,
        nn.init.kaiming_uniform_,
        lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)),
        lambda w: nn.init.kaiming_uniform_(w, mode="fan_out"),
        lambda w: nn.init.uniform_(w, -0.1, 0.1),
        lambda w: nn.init.uniform_(w),
    ],
)
@pytest.mark.parametrize("shape", [(60, 50), (24, 16, 3, 3)])
def test_which_inputs_are_unchanged(initialise, shape):
    torch.manual_seed(3)
    weight = initialise(torch.empty(shape)).numpy()
    weight[:, 9:] += np.float32(0.001) * np.random.default_rng(0).normal(size=weight[:, 9:].shape)
    found = unchanged(weight.astype(np.float32))
    columns = np.zeros(shape, bool)
    columns[:, :9] = True
    assert (found.inputs, found.units) == (9, 0)
    assert (found.positions == columns.ravel().nonzero()[0]).all()
    outputs = draw(seeded(3), math.prod(shape))[found.positions]
    assert not ((outputs ^ found.bits) & found.certain).any()


def test_normal_numbers_are_not_taken_for_uniform_ones():
    torch.manual_seed(3)
    assert unchanged(torch.randn(60, 50).mul(0.05).numpy()) is None


@pytest.mark.parametrize("first", [0, 100, 226])
def test_search_by_draws(first):
    places = np.arange(first, first + 40)
    outputs = draw(seeded(SEED), first + 40)[places]
    masks = np.full(40, 0xFFFFFF, np.uint32)
    assert list(matching_seeds(places, outputs, masks, *AROUND)) == [SEED]


def test_search_by_likeness():
    outputs = (draw(seeded(SEED), 300) & 0xFFFFFF) / 2**24 - 0.5
    noise = np.random.default_rng(0).normal(size=300) * 0.25
    weights = (outputs + noise).astype(np.float32)
    assert list(similar_seeds(weights, *AROUND)) == [SEED]


@pytest.mark.parametrize("every", [1, 3])
def test_state_of_linear_equations(every):
    window = advance(seeded(SEED), 123_457)
    places = np.arange(0, 5_100, every)[:1_700]
    masks = np.full(len(places), 0xFFFFFF, np.uint32)
    bits = draw(window, 5_100)[places] & 0xFFFFFF
    found = solve(places, bits, masks)
    assert (draw(found.window, 9_000) == draw(window, 9_000)).all()
    bits[700] ^= 1
    assert not solve(places, bits, masks).consistent


def test_too_few_equations():
    masks = np.full(700, 0xFFFFFF, np.uint32)
    found = solve(np.arange(700), draw(seeded(0), 700), masks)
    assert found.window is None
    assert found.consistent


@pytest.mark.parametrize("growth", [1.0, 3.0])
@pytest.mark.parametrize("untouched", [0, 2])
def test_the_range_of_a_layer_that_has_grown(growth, untouched):
    usual = uniforms((40, 30))[0]
    layers = [usual(draw(seeded(5), 3_000)[:1_200]).reshape(40, 30)]
    wide = uniforms((40, 45))[1]
    layers.append(wide(draw(seeded(5), 3_000)[1_200:]).reshape(40, 45))
    trained = {"a.weight": layers[0], "b.weight": (growth * layers[1] + 0.001).astype(np.float32)}
    trained["b.weight"].flat[:untouched] = layers[1].flat[:untouched]
    found = redraw_all(draw(seeded(5), 9_000), trained, ("a.weight", 0, usual))
    assert found["b.weight"].place == 1_200
    expected = wide if untouched else uniforms((40, 45))[0]
    assert found["b.weight"].initialiser == expected.name


def digits():
    """300 images of 8 x 8 pixels in the middle of 14 x 14, ``(300, 1, 14, 14)``, and labels."""
    images, labels = load_digits(return_X_y=True)
    frame = np.zeros((300, 1, 14, 14), np.float32)
    frame[:, 0, 3:11, 3:11] = images[:300].reshape(-1, 8, 8) / 16
    return torch.from_numpy(frame), torch.from_numpy(labels[:300])


def train(network, answer, *, optimiser=torch.optim.Adam, steps=3, **settings):
    """Train on digits; the initial and the trained state dict."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    inputs, labels = digits()
    optimiser = optimiser(network.parameters(), lr=1e-3, **settings)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(answer(network, inputs), labels).backward()
        optimiser.step()
    return before, network.state_dict()


def ordinary(hidden=40, bias=True):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(196, hidden, bias=bias), nn.Tanh(), nn.Linear(hidden, 10, bias=bias)
    )


def call(network, inputs):
    return network(inputs)


def check(found, before, trained):
    """All that training changed comes back as it was."""
    for name, tensor in before.items():
        if not torch.equal(tensor, trained[name]):
            assert torch.equal(found.initial[name], tensor), name


@pytest.mark.parametrize("seed", [0, 42, 65_535])
@pytest.mark.parametrize("bias", [True, False])
def test_small_seed(seed, bias):
    torch.manual_seed(seed)
    before, trained = train(ordinary(bias=bias), call)
    found = recover_initial_weights(trained, seeds=(0, 1 << 16))
    assert (found.seed, found.before, found.method) == (seed, 0, "seed")
    check(found, before, trained)


def test_any_seed_within_the_range():
    torch.manual_seed(SEED)
    before, trained = train(ordinary(hidden=9), call)  # too narrow to solve for the state
    found = recover_initial_weights(trained, seeds=AROUND)
    assert (found.seed, found.before, found.method) == (SEED, 0, "seed")
    check(found, before, trained)


@pytest.mark.parametrize("optimiser", [torch.optim.Adam, torch.optim.SGD])
def test_drawn_after_other_numbers(optimiser):
    torch.manual_seed(SEED)
    torch.randperm(10_007)
    network = ordinary()
    torch.rand(7)
    before, trained = train(network, call, optimiser=optimiser)
    found = recover_initial_weights(trained, seeds=NOTHING)
    torch.manual_seed(SEED)
    torch.randperm(10_007)
    start = draw(advance(seeded(SEED), found.before), 1)[0] & 0xFFFFFF
    assert start == int(torch.rand(()) * 2**24)
    assert (found.seed, found.method) == (SEED, "state")
    check(found, before, trained)


def snntorch():
    snn = pytest.importorskip("snntorch")
    hidden, last = snn.Leaky(0.9, init_hidden=True), snn.Leaky(0.9, init_hidden=True, output=True)
    return nn.Sequential(nn.Flatten(), nn.Linear(196, 40), hidden, nn.Linear(40, 10), last)


def by_snntorch(network, inputs):
    from snntorch import utils

    utils.reset(network)
    return sum(network(inputs)[1] for _ in range(3))


def spikingjelly():
    base = pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import layer, neuron

    assert base
    return nn.Sequential(
        layer.Flatten(), layer.Linear(196, 40), neuron.LIFNode(), layer.Linear(40, 10)
    )


def by_spikingjelly(network, inputs):
    from spikingjelly.activation_based import functional

    functional.reset_net(network)
    return sum(network(inputs) for _ in range(3))


def norse():
    library = pytest.importorskip("norse.torch")
    return library.SequentialState(
        nn.Flatten(), nn.Linear(196, 40), library.LIFCell(), nn.Linear(40, 10), library.LICell()
    )


def by_norse(network, inputs):
    state, total = None, 0
    for _ in range(3):
        answer, state = network(inputs, state)
        total = total + answer
    return total


def ours():
    return SpikingMLP((1, 14, 14), 10, hidden=40, beta=0.9, surrogate=FastSigmoid(25))


def by_ours(network, inputs):
    return network(inputs.expand(3, *inputs.shape).contiguous()).membrane.sum(0)


@pytest.mark.parametrize(
    ("build", "answer"),
    [
        (snntorch, by_snntorch),
        (spikingjelly, by_spikingjelly),
        (norse, by_norse),
        (ours, by_ours),
    ],
)
def test_frameworks(build, answer):
    build()  # what a framework draws when it is first used is not the network's
    torch.manual_seed(SEED)
    before, trained = train(build(), answer)
    found = recover_initial_weights(trained, seeds=AROUND)
    assert found.seed == SEED
    check(found, before, trained)


def test_weight_decay_leaves_no_weight_but_the_likeness():
    torch.manual_seed(SEED)
    before, trained = train(ordinary(), call, optimiser=torch.optim.AdamW, weight_decay=0.1)
    found = recover_initial_weights(trained, seeds=AROUND)
    assert not found.untouched
    assert (found.seed, found.method) == (SEED, "likeness")
    check(found, before, trained)


def test_weight_decay_and_another_seed():
    torch.manual_seed(SEED)
    _, trained = train(ordinary(), call, optimiser=torch.optim.AdamW, weight_decay=0.1)
    found = recover_initial_weights(trained, seeds=NOTHING)
    assert not found.redrawn
    assert "no seed's first draws resemble the first layer" in found.why
    assert "Not recovered." in " ".join(sentences(found))


def test_an_input_that_only_looks_untouched():
    """A weight that one step of training moved to another value that could have been drawn."""
    torch.manual_seed(SEED)
    torch.rand(10)
    before, trained = train(ordinary(), call)
    uniform = uniforms((40, 196))[0]
    bits, _ = uniform.invert(trained["1.weight"].numpy())
    trained["1.weight"][3, 5] = float(uniform(bits[3, 5] ^ np.uint32(1 << 20)))
    found = recover_initial_weights(trained, seeds=NOTHING)
    assert found.untouched["1.weight"].inputs == int((digits()[0] == 0).all(0).sum())
    assert (found.seed, found.method) == (SEED, "state")
    check(found, before, trained)


@pytest.mark.parametrize("zero", [True, False])
def test_biases_follow_their_weights(zero):
    """Training moved the last one far; it was drawn, if those of other layers were."""
    torch.manual_seed(SEED)
    network = ordinary()
    if zero:
        for layer in (network[1], network[3]):
            nn.init.zeros_(layer.bias)
    before, trained = train(network, call)
    trained["3.bias"] += 0.5
    found = recover_initial_weights(trained, seeds=AROUND).initial
    assert ("3.bias" in found) is ("1.bias" in found) is not zero
    assert zero or torch.equal(found["3.bias"], before["3.bias"])


def test_another_generator():
    """NumPy's numbers on torch's grid, as a GPU's generator would give."""
    outputs = np.random.default_rng(0).integers(2**24, size=(40, 196))
    layer = uniforms((40, 196))[0](outputs)
    found = recover_initial_weights({"fc.weight": torch.from_numpy(layer)}, seeds=NOTHING)
    assert found.untouched["fc.weight"].inputs == 196
    assert "but not by torch's generator on a CPU" in found.why


def test_too_few_draws():
    torch.manual_seed(SEED)
    _, trained = train(ordinary(hidden=9), call)
    found = recover_initial_weights(trained, seeds=NOTHING)
    assert "too few to solve for the generator's state" in found.why


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8])
def test_rounded_weights(dtype):
    weights = {"fc.weight": torch.zeros(4, 4, dtype=dtype), "fc.bias": torch.zeros(4)}
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(InputError, match=f"the weights are {name}; expected layers of finite"):
        recover_initial_weights(weights)


def test_weights_that_are_not_finite():
    with pytest.raises(InputError, match="finite float32"):
        recover_initial_weights({"fc.weight": torch.full((4, 4), torch.nan)})


@pytest.mark.parametrize("value", [0.0, 0.5, 0.1, 1.0])
def test_layers_of_equal_values(value):
    found = recover_initial_weights({"fc.weight": torch.full((20, 20), value)}, seeds=NOTHING)
    assert not found.untouched
    assert found.why


def test_pruned_inputs_are_not_taken_for_drawn_ones():
    weight = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    weight[:, :10] = 0
    assert unchanged(weight) is None


def test_silent_channel_of_a_convolution():
    torch.manual_seed(SEED)
    torch.rand(99)
    network = nn.Sequential(
        nn.Conv2d(3, 200, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(800, 10)
    )

    def answer(network, inputs):
        return network(nn.functional.pad(inputs, (0, 0, 0, 0, 1, 1)))  # first and last are silent

    before, trained = train(network, answer)
    found = recover_initial_weights(trained, seeds=NOTHING)
    assert found.untouched["0.weight"].inputs == 2
    assert (found.seed, found.before, found.method) == (SEED, 99, "state")
    check(found, before, trained)


def test_sentences():
    torch.manual_seed(42)
    _, trained = train(ordinary(), call)
    said = list(sentences(recover_initial_weights(trained, seeds=(0, 100))))
    silent = int((digits()[0] == 0).all(0).sum())
    assert said[0].startswith(f"1.weight: {40 * silent:,} weights are exactly as they were drawn")
    assert said[0].endswith(f": those of {silent} inputs.")
    assert said[1] == "The generator's seed is 42; the network was drawn first."
    assert all("recovered" in sentence for sentence in said[2:])
