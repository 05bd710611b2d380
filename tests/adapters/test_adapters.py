import json
import math
import sys
import threading

import pytest
import snntorch as snn
import torch
from adapting import check_target, lively, spikes
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from brainleaks import AccessError, InputError, Target, factory
from brainleaks.adapters import FRAMEWORKS, Adapted, adapt, load_model
from brainleaks.attacks.objectives import confidence
from brainleaks.networks import MLP

IMAGES = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def ordinary():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))


def spiking():
    return lively(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 20),
            snn.Leaky(0.8, init_hidden=True),
            nn.Linear(20, 10),
            snn.Leaky(0.8, init_hidden=True),
        )
    )


def fitted(shape, classes, hidden=20):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(shape), hidden), nn.ReLU(), nn.Linear(hidden, classes)
    )


def a_class():
    return MLP


def a_number():
    return 3


def fails():
    raise RuntimeError("no\nluck")


def service():
    network = ordinary()
    return lambda x: network(x).argmax(1)


class Answers(nn.Module):
    """Whatever is made of a good answer."""

    def __init__(self, change):
        super().__init__()
        self.layers, self.change = ordinary(), change

    def forward(self, x):
        return self.change(self.layers(x))


def load(name, path=None, samples=IMAGES, **settings):
    settings = {"framework": None, "factory": f"test_adapters:{name}"} | settings
    return load_model(path, samples=samples, classes=10, **settings)


def test_an_ordinary_network_is_taken_as_it_is():
    network = ordinary().eval()
    adapted = adapt(network, samples=IMAGES, classes=10)
    assert (adapted.framework, adapted.lowered) == ("torch", False)
    assert adapted.facts["why_not_lowered"] == "it has no spiking neurons."
    target = Target(adapted.network, input_shape=(1, 8, 8), classes=10)
    torch.testing.assert_close(target.scores(IMAGES), network(IMAGES).softmax(1))
    check_target(adapted.network, IMAGES)


def test_an_ordinary_network_that_is_given_spikes():
    """It may be meant so; that it has no memory is said."""
    (note,) = adapt(ordinary()[1:], samples=spikes(), classes=10).facts["notes"]
    assert note.startswith("it answers each time step alone, as an ordinary network does")
    with pytest.raises(InputError, match="give framework='torch' or encoding='none'"):
        adapt(ordinary(), samples=spikes(), classes=10)


def test_a_spiking_network_of_its_own_is_no_ordinary_one():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            membrane, answers = 0.0, []
            for step in x:
                membrane = 0.9 * membrane + self.fc(step.flatten(1))
                answers.append(membrane)
            return torch.stack(answers)

    assert adapt(Own(), samples=spikes(), classes=10).facts["notes"] == []


def test_a_network_of_images_that_wants_them_flat():
    adapted = adapt(ordinary()[1:], samples=IMAGES, classes=10)
    assert adapted.facts["call"] == "images, flattened"
    assert adapted.network(IMAGES).membrane.shape == (1, 5, 10)


def test_facts_are_json():
    for network, samples in ((ordinary(), IMAGES), (spiking(), spikes())):
        adapted = adapt(network, samples=samples, classes=10)
        assert isinstance(adapted, Adapted)
        assert adapted.framework in FRAMEWORKS
        assert json.loads(json.dumps(adapted.facts)) == adapted.facts


def test_a_silent_network_is_said_to_be_silent():
    network = spiking()
    network[3].weight.data.mul_(0)
    network[3].bias.data.mul_(0)
    adapted = adapt(network, samples=spikes(), classes=10)
    assert adapted.lowered
    assert adapted.facts["notes"][-1].startswith("no output neuron fires on the samples")
    assert adapt(spiking(), samples=spikes(), classes=10).facts["parity"]["firing"] > 0


def test_lowering_is_given_up_where_the_answers_differ(monkeypatch):
    from brainleaks.adapters import snntorch

    described = snntorch.describe

    def wrong(neuron):
        right = described(neuron)
        return type(right)(beta=0.5, conventions=right.conventions)

    monkeypatch.setattr(snntorch, "describe", wrong)
    adapted = adapt(spiking(), samples=spikes(), classes=10)
    assert not adapted.lowered
    assert "output spikes differ on 6 samples" in adapted.facts["why_not_lowered"]
    assert adapted.facts["parity"]["differing"] > 0
    check_target(adapted.network, spikes())


@pytest.mark.parametrize("probabilities", [True, False])
def test_a_function_that_answers_with_scores(probabilities):
    network = ordinary()

    def ask(images):
        logits = network(images).detach()
        return (logits.softmax(1) if probabilities else logits).numpy()

    adapted = adapt(ask, samples=IMAGES, classes=10)
    assert adapted.facts["access"] == "scores"
    target = Target(adapted.network, input_shape=(1, 8, 8), classes=10, access="scores")
    torch.testing.assert_close(target.scores(IMAGES), network(IMAGES).softmax(1).detach())
    with pytest.raises(AccessError):
        target.entry(IMAGES)
    granted = Target(adapted.network, input_shape=(1, 8, 8), classes=10)
    with pytest.raises(AccessError, match="a function that shows no gradients"):
        granted.gradient(granted.entry(IMAGES), torch.arange(5), confidence)


class Remote:
    """A connection, which cannot be copied."""

    def __init__(self):
        self.network, self.lock = ordinary(), threading.Lock()

    def __call__(self, images):
        with self.lock:
            return self.network(images).argmax(1)


def test_a_connection_stays_where_it_is():
    remote = Remote()
    for ask in (remote, remote.__call__):
        adapted = adapt(ask, samples=IMAGES, classes=10)
        target = Target(adapted.network, input_shape=(1, 8, 8), classes=10, access="labels")
        assert torch.equal(target.labels(IMAGES), remote(IMAGES))


def test_a_function_that_answers_with_labels():
    network = spiking()

    def ask(recordings):
        for layer in (network[2], network[4]):
            layer.reset_mem()
        return sum(network(step) for step in recordings).argmax(1).tolist()

    adapted = adapt(ask, samples=spikes(), classes=10)
    assert adapted.facts["access"] == "labels"
    target = Target(adapted.network, input_shape=(1, 8, 8), classes=10, access="labels")
    assert target.labels(spikes()).tolist() == ask(spikes())
    assert load("service").facts["access"] == "labels"


def test_a_function_that_answers_with_something_else():
    with pytest.raises(InputError, match=r"shape \(5, 3\); expected finite scores \(5, 10\)"):
        adapt(lambda x: torch.zeros(5, 3), samples=IMAGES, classes=10)
    with pytest.raises(InputError, match="from 0 to 9"):
        adapt(lambda x: [3, 1, 10, 2, 0], samples=IMAGES, classes=10)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x * torch.nan, "returns NaN or infinity"),
        (lambda x: x.repeat(1, 100), "has 1000 outputs but the data has 10"),
        (lambda x: x.sum(), r"3 inputs the network returned \(\); expected .* \(3, 10\)"),
        (lambda x: x.unsqueeze(0).repeat(4, 2, 1), r"returned \(4, 6, 10\); expected"),
        (lambda x: {"logits": x}, "returned no tensor"),
        (lambda x: functional.dropout(x, 0.5), "outputs differ between two calls"),
    ],
)
def test_answers_that_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        adapt(Answers(change), samples=IMAGES, classes=10)


def test_inputs_of_the_wrong_size():
    for network, samples in ((ordinary(), IMAGES), (spiking(), spikes())):
        with pytest.raises(InputError, match=r"does not take inputs of shape \(1, 8, 7\).*mat1"):
            adapt(network, samples=samples[..., :7], classes=10)
    with pytest.raises(InputError, match=r"samples are a torch.int64 array of shape \(5, 64\)"):
        adapt(ordinary(), samples=torch.zeros(5, 64, dtype=torch.int64), classes=10)


def test_dropout_is_off_and_that_is_said():
    network = nn.Sequential(*ordinary(), nn.Dropout(0.5))
    (note,) = adapt(network.train(), samples=IMAGES, classes=10).facts["notes"]
    assert "came in training mode; it is audited in eval mode, its 1 dropout layers off" in note
    assert adapt(network.eval(), samples=IMAGES, classes=10).facts["notes"] == []


def test_a_network_without_gradients_says_so():
    adapted = adapt(Answers(lambda x: x.detach()), samples=IMAGES, classes=10)
    assert adapted.facts["access"] == "scores"
    assert "no gradients reach its inputs" in adapted.facts["notes"][0]


@pytest.mark.parametrize("kind", ["state dict", "safetensors"])
def test_weights_from_a_file(kind, tmp_path):
    network = ordinary()
    path = tmp_path / "weights"
    if kind == "safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    adapted = load("ordinary", path)
    assert torch.equal(adapted.network(IMAGES).membrane[0], network(IMAGES))


def test_a_factory_is_told_the_shape_and_the_classes(tmp_path):
    network = ordinary()
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    adapted = load("fitted", tmp_path / "weights.pt")
    assert torch.equal(adapted.network(IMAGES).membrane[0], network(IMAGES))
    with pytest.raises(InputError, match=r"1.weight is \(20, 64\), expected \(20, 56\)"):
        load("fitted", tmp_path / "weights.pt", samples=IMAGES[..., :7])


def test_weights_that_do_not_fit(tmp_path):
    path = tmp_path / "weights.pt"
    state = ordinary().state_dict()
    torch.save(state | {"3.weight": torch.zeros(7, 20)}, path)
    with pytest.raises(InputError, match=r"3.weight is \(7, 20\), expected \(10, 20\)"):
        load("ordinary", path)
    torch.save(state | {"extra": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"extra is .*, expected absent"):
        load("ordinary", path)
    torch.save(ordinary(), path)
    with pytest.raises(InputError, match="could be read only by running its code"):
        load("ordinary", path)
    with pytest.raises(InputError, match="returns a function, which takes no weights"):
        load("service", path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("test_adapters", "expected module:function"),
        ("no_such_module:build", "no module named no_such_module"),
        ("test_adapters:absent", "has no such name; expected a function"),
        ("test_adapters:IMAGES", "has a Tensor; expected a function"),
        ("test_adapters:fails", "fails with RuntimeError: no"),
        ("test_adapters:a_class", "returns the class MLP; expected a torch module"),
        ("test_adapters:a_number", "returns an? int; expected a torch module"),
        ("broken_module:build", "importing broken_module fails with ZeroDivisionError"),
        (None, "needs a factory"),
    ],
)
def test_factories_that_are_refused(name, said, tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        load_model(None, framework=None, factory=name, samples=IMAGES, classes=10)
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize("name", ["snntorch", "spikingjelly", "norse", "nir"])
def test_an_absent_framework_is_named_with_its_install_command(name, monkeypatch, tmp_path):
    found = factory.importlib.util.find_spec
    package = "h5py" if name == "nir" else name

    def find(wanted, *args):
        return None if wanted == package else found(wanted, *args)

    monkeypatch.setattr(factory.importlib.util, "find_spec", find)
    with pytest.raises(InputError, match=rf"pip install 'brainleaks\[{name}\]'"):
        load("ordinary", framework=name)
    (tmp_path / f"needs_{name}.py").write_text(
        f"raise ModuleNotFoundError('none', name='{package}.torch')\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"pip install 'brainleaks\[{name}\]'"):
        load("ordinary", factory=f"needs_{name}:build")


def test_settings_that_make_no_sense():
    with pytest.raises(InputError, match="framework is 'lava'; it is one of snntorch"):
        load("ordinary", framework="lava")
    with pytest.raises(InputError, match="framework is snntorch, but Sequential has none"):
        load("ordinary", framework="snntorch")
    with pytest.raises(InputError, match="dt and reset apply only to NIR files"):
        load("ordinary", dt=1e-3)
    with pytest.raises(InputError, match="remove the factory"):
        load("ordinary", framework="nir")
    with pytest.raises(InputError, match="framework nir is for files"):
        adapt(ordinary(), framework="nir", samples=IMAGES, classes=10)
