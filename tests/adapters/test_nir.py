import itertools

import h5py
import nir
import norse.torch as norse
import numpy as np
import pytest
import snntorch as snn
import torch
from adapting import check_target, lively, spikes
from torch import nn
from torch.nn import functional

from brainleaks import InputError
from brainleaks.adapters import load_model
from brainleaks.adapters import nir as adapter
from brainleaks.adapters.nir import file as nir_file

DT = 1e-3


def simulated(kind, p, dt, reset, current):
    """The paper's equations in forward Euler steps of float64, neuron by neuron."""
    steps, neurons = current.shape
    fired, trace = np.zeros((steps, neurons)), np.zeros((steps, neurons))
    for n in range(neurons):
        v = {"IF": p.get("v_reset"), "I": np.zeros(neurons)}.get(kind, p.get("v_leak"))[n]
        i = 0.0
        for t in range(steps):
            s = current[t, n]
            if kind in ("CubaLIF", "CubaLI"):
                i += dt / p["tau_syn"][n] * (-i + p["w_in"][n] * s)
                v += dt / p["tau_mem"][n] * ((p["v_leak"][n] - v) + p["r"][n] * i)
            elif kind in ("IF", "I"):
                v += dt * p["r"][n] * s
            else:
                v += dt / p["tau"][n] * ((p["v_leak"][n] - v) + p["r"][n] * s)
            trace[t, n] = v
            if kind.endswith("F") and v > p["v_threshold"][n]:
                fired[t, n] = 1
                v = p["v_reset"][n] if reset == "zero" else v - (p["v_threshold"] - p["v_reset"])[n]
    return fired, trace


FIELDS = {
    "IF": ("r", "v_threshold", "v_reset"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "I": ("r",),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}


def parameters(kind, neurons, uniform=False, at_rest=False):
    """Fields of a layer of neurons, each neuron its own unless ``uniform``."""
    rng = np.random.default_rng(0)
    draw = {
        "tau": rng.uniform(3 * DT, 20 * DT, neurons),
        "tau_mem": rng.uniform(3 * DT, 20 * DT, neurons),
        "tau_syn": rng.uniform(2 * DT, 10 * DT, neurons),
        "r": rng.uniform(2, 6, neurons) / (8 * DT if kind in ("I", "IF") else 1),
        "v_leak": rng.uniform(-0.2, 0.2, neurons),
        "v_threshold": rng.uniform(0.8, 1.2, neurons),
        "v_reset": rng.uniform(-0.3, 0.3, neurons),
        "w_in": rng.uniform(1, 3, neurons),
    }
    chosen = {
        name: np.full(neurons, draw[name][0]) if uniform else draw[name] for name in FIELDS[kind]
    }
    if at_rest and "v_reset" in chosen and "v_leak" in chosen:
        chosen["v_reset"] = chosen["v_leak"]
    return chosen


def written(path, *nodes, edges=None, shape=(1, 8, 8), out=(10,)):
    """A file of a chain of nodes, or of these edges between them by number."""
    named = {str(i): node for i, node in enumerate(nodes)}
    named |= {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array(out))}
    names = ["input", *map(str, range(len(nodes))), "output"]
    edges = edges or list(itertools.pairwise(names))
    nir.write(path, nir.NIRGraph(named, edges, type_check=False))
    return path


def affine(inputs=64, outputs=10, seed=0, gain=1.0):
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, gain / inputs**0.5, (outputs, inputs))
    return nir.Affine(weight, rng.normal(0, 0.1, outputs))


def neurons(kind, count=10, **settings):
    return getattr(nir, kind)(**parameters(kind, count, **settings))


def flatten(shape=(1, 8, 8)):
    return nir.Flatten(np.array(shape), 0, -1)


def load(path, samples=None, reset="zero", dt=DT, classes=10):
    return load_model(
        path,
        framework=None,
        factory=None,
        samples=spikes() if samples is None else samples,
        classes=classes,
        dt=dt,
        reset=reset,
    )


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("kind", FIELDS)
def test_every_neuron_follows_the_papers_equations(kind, reset, tmp_path):
    p = parameters(kind, 10, uniform=False)
    path = written(tmp_path / "x.nir", flatten(), affine(), getattr(nir, kind)(**p))
    network = adapter.NirNetwork(adapter.read_graph(path), DT, reset)  # float64, as the file
    samples = spikes(batch=3, steps=40).double()
    response = network(samples)
    weights = affine()
    for b in range(3):
        current = samples[:, b].flatten(1).numpy() @ weights.weight.T + weights.bias
        fired, trace = simulated(kind, p, DT, reset, current)
        np.testing.assert_allclose(response.membrane[:, b].numpy(), trace, rtol=1e-9, atol=1e-12)
        if not kind.endswith("F"):
            assert response.spikes is None
        else:
            assert 0.01 < fired.mean() < 0.9
            np.testing.assert_array_equal(response.spikes[:, b].numpy(), fired)


@pytest.mark.parametrize(
    ("kind", "reset", "lowered"),
    [
        ("IF", "zero", True),
        ("IF", "subtract", True),
        ("LIF", "zero", True),
        ("LIF", "subtract", True),
        ("CubaLIF", "zero", True),
        ("CubaLIF", "subtract", True),
        ("LI", "zero", True),
        ("I", "zero", True),
        ("CubaLI", "zero", True),
    ],
)
def test_uniform_neurons_are_lowered(kind, reset, lowered, tmp_path):
    hidden = kind if kind.endswith("F") else f"{kind}F"
    path = written(
        tmp_path / "x.nir",
        affine(64, 30, gain=2),
        neurons(hidden, 30, uniform=True, at_rest=True),
        affine(30, 10, 1, gain=4),
        neurons(kind, 10, uniform=True, at_rest=True),
        shape=(64,),
    )
    adapted = load(path, reset=reset)
    assert adapted.framework == "nir"
    assert adapted.lowered == lowered, adapted.facts["why_not_lowered"]
    new = spikes(seed=1)
    expected = adapter.NirNetwork(adapter.read_graph(path), DT, reset).float()(new)
    response = adapted.network(new)
    if not kind.endswith("F"):
        torch.testing.assert_close(response.membrane, expected.membrane, rtol=1e-4, atol=1e-5)
    else:
        assert 0.01 < expected.spikes.mean() < 0.9
        assert torch.equal(response.spikes, expected.spikes)
    check_target(adapted.network, new)


def test_neurons_that_differ_are_kept(tmp_path):
    path = written(tmp_path / "x.nir", affine(), neurons("LIF", uniform=False), shape=(64,))
    adapted = load(path)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    check_target(adapted.network, spikes())


def test_layers_are_torchs(tmp_path):
    rng = np.random.default_rng(0)
    first = nir.Conv2d(
        (8, 8), rng.normal(size=(4, 1, 3, 3)), (1, 1), (1, 1), (1, 1), 1, rng.normal(size=4)
    )
    second = nir.Conv2d(
        (4, 4), rng.normal(size=(6, 2, 2, 2)), (1, 1), "same", (2, 2), 2, rng.normal(size=6)
    )
    total = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    mean = nir.AvgPool2d(2, 2, 1)
    path = written(
        tmp_path / "x.nir",
        first,
        total,
        second,
        mean,
        flatten((6, 3, 3)),
        affine(54),
        nir.LI(*np.ones((2, 10)), np.zeros(10)),
    )
    network = adapter.NirNetwork(adapter.read_graph(path), 1.0, "zero")  # the membrane is the input
    samples = spikes(batch=2, steps=3).double()
    x = functional.conv2d(
        samples.flatten(0, 1), torch.tensor(first.weight), torch.tensor(first.bias), padding=1
    )
    x = 4 * functional.avg_pool2d(x, 2)
    x = functional.conv2d(
        x,
        torch.tensor(second.weight),
        torch.tensor(second.bias),
        padding="same",
        dilation=2,
        groups=2,
    )
    x = functional.avg_pool2d(x, 2, padding=1).flatten(1)
    x = functional.linear(x, torch.tensor(affine(54).weight), torch.tensor(affine(54).bias))
    torch.testing.assert_close(network(samples).membrane, x.unflatten(0, (3, 2)))
    adapted = load(path, dt=1.0)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    check_target(adapted.network, spikes())


def test_convolution_of_one_dimension(tmp_path):
    weight = np.random.default_rng(0).normal(size=(2, 1, 5))
    conv = nir.Conv1d(64, weight, 2, 1, 1, 1, np.zeros(2))
    path = written(
        tmp_path / "x.nir",
        conv,
        nir.Flatten(np.array((2, 31)), 0, -1),
        nir.Linear(affine(62).weight),
        neurons("IF", uniform=True),
        shape=(1, 64),
    )
    network = adapter.NirNetwork(adapter.read_graph(path), DT, "zero")
    samples = spikes(batch=2, steps=3).double()
    x = functional.conv1d(
        samples.flatten(0, 1).flatten(2), torch.tensor(weight), stride=2, padding=1
    )
    x = functional.linear(x.flatten(1), torch.tensor(affine(62).weight))
    x = x.unflatten(0, (3, 2))
    layer = adapter.Dynamics("IF", parameters("IF", 10, uniform=True), DT, "zero")
    torch.testing.assert_close(network(samples).membrane, layer(x)[1])
    assert load(path).lowered


def test_branches_are_summed(tmp_path):
    edges = [("input", "0"), ("0", "1"), ("0", "2"), ("1", "3"), ("2", "3"), ("3", "output")]
    one, two = affine(seed=1), affine(seed=2)
    path = written(
        tmp_path / "x.nir", flatten(), one, two, neurons("IF", uniform=True), edges=edges
    )
    adapted = load(path)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    both = nir.Affine(one.weight + two.weight, one.bias + two.bias)
    alone = load(written(tmp_path / "y.nir", flatten(), both, neurons("IF", uniform=True)))
    assert torch.equal(adapted.network(spikes()).spikes, alone.network(spikes()).spikes)
    check_target(adapted.network, spikes())


def leaky(count, reset):
    shape = (count,) if isinstance(count, int) else count
    return snn.Leaky(
        torch.full(shape, 0.85),
        threshold=torch.full(shape, 0.7),
        init_hidden=True,
        reset_mechanism=reset,
    )


def exported_by_snntorch(path, reset, convolutional=False):
    from snntorch.export_nir import export_to_nir

    layers = [nn.Linear(64, 30), leaky(30, reset), nn.Linear(30, 10), leaky(10, reset)]
    sample = torch.zeros(1, 64)
    if convolutional:
        first = [nn.Conv2d(1, 3, 3), leaky((3, 6, 6), reset), nn.AvgPool2d(2), nn.Flatten()]
        layers = [*first, nn.Linear(27, 10), leaky(10, reset)]
        sample = torch.zeros(1, 1, 8, 8)
    network = lively(nn.Sequential(*layers), 4)
    nir.write(path, export_to_nir(network, sample, ignore_dims=[0]))
    return network


def asked(network, samples):
    for layer in network.modules():
        if isinstance(layer, snn.Leaky):
            layer.reset_mem()
    with torch.no_grad():
        return torch.stack([network(step) for step in samples])


@pytest.mark.parametrize("convolutional", [False, True])
def test_snntorchs_export_with_reset_to_zero(convolutional, tmp_path):
    network = exported_by_snntorch(tmp_path / "x.nir", "zero", convolutional)
    adapted = load(tmp_path / "x.nir", dt=1e-4)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    samples = spikes(seed=1)
    expected = asked(network, samples if convolutional else samples.flatten(2))
    assert expected.mean() > 0.01
    assert torch.equal(adapted.network(samples).spikes, expected)
    check_target(adapted.network, samples)


def test_snntorchs_export_hides_a_subtractive_reset(tmp_path):
    """The fault that is named: the file is the same, whatever the reset."""
    exported_by_snntorch(tmp_path / "zero.nir", "zero")
    exported_by_snntorch(tmp_path / "subtract.nir", "subtract")
    zero, subtract = (adapter.read_graph(tmp_path / f"{r}.nir") for r in ("zero", "subtract"))
    for name, node in zero.nodes.items():
        assert all(np.array_equal(value, subtract.nodes[name][k]) for k, value in node.items())
    (note,) = load(tmp_path / "subtract.nir", dt=1e-4).facts["notes"]
    assert "writes a subtractive reset as a reset to zero without saying so" in note


def test_snntorchs_export_needs_a_beta_for_each_neuron():
    from snntorch.export_nir import export_to_nir

    network = nn.Sequential(nn.Linear(64, 10), snn.Leaky(0.9, init_hidden=True))
    with pytest.raises(ValueError, match="type mismatch"):
        export_to_nir(network, torch.zeros(1, 64), ignore_dims=[0])


@pytest.mark.parametrize("convolutional", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_spikingjellys_export(convolutional, tmp_path):
    from spikingjelly.activation_based import functional as sj
    from spikingjelly.activation_based import layer, neuron, nir_exchange

    first = [layer.Flatten(), layer.Linear(64, 27)]
    if convolutional:
        first = [layer.Conv2d(1, 3, 3), neuron.LIFNode(3.0), layer.AvgPool2d(2), layer.Flatten()]
    last = [neuron.IFNode(0.8), layer.Linear(27, 10), neuron.LIFNode(decay_input=False)]
    network = lively(nn.Sequential(*first, *last), 6)
    sj.set_step_mode(network, "m")
    nir_exchange.export_to_nir(network, spikes(), save_path=tmp_path / "x.nir", dt=1e-4)
    adapted = load(tmp_path / "x.nir", dt=1e-4)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    sj.reset_net(network)
    expected = network(spikes(seed=1))
    assert expected.mean() > 0.01
    assert torch.equal(adapted.network(spikes(seed=1)).spikes, expected)


def exported_by_norse(path, *cells):
    from norse.torch.utils.export_nir import to_nir

    network = norse.SequentialState(nn.Linear(64, 30), cells[0], nn.Linear(30, 10), cells[1])
    nir.write(path, to_nir(lively(network, 5), torch.zeros(64)))
    return network


def test_norses_export_has_its_time_constants_multiplied_by_the_step(tmp_path):

    def box(count):
        values = {"tau_mem_inv": 300.0, "v_th": 0.6, "v_leak": 0.0, "v_reset": 0.0}
        return norse.LIFBoxCell(
            norse.LIFBoxParameters(**{k: torch.full((count,), v) for k, v in values.items()})
        )

    network = exported_by_norse(tmp_path / "x.nir", box(30), box(10))
    with pytest.raises(InputError, match=r"Norse 1\.1 exported has its time constants multiplied"):
        load(tmp_path / "x.nir", dt=1e-3)
    adapted = load(tmp_path / "x.nir", dt=1e-6)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    state, expected = None, []
    for step in spikes(seed=1).flatten(2):
        answer, state = network(step, state)
        expected.append(answer)
    expected = torch.stack(expected)
    assert expected.mean() > 0.01
    assert torch.equal(adapted.network(spikes(seed=1)).spikes, expected)


def test_norses_exports_that_lose_a_factor_are_named(tmp_path):
    integrate = norse.IAFCell(norse.IAFParameters(torch.ones(30), torch.zeros(30)))
    values = {
        "tau_syn_inv": 200.0,
        "tau_mem_inv": 100.0,
        "v_leak": 0.0,
        "v_th": 1.0,
        "v_reset": 0.0,
    }
    current = norse.LIFCell(
        norse.LIFParameters(**{k: torch.full((10,), v) for k, v in values.items()})
    )
    exported_by_norse(tmp_path / "x.nir", integrate, current)
    notes = load(tmp_path / "x.nir", dt=1e-6).facts["notes"]
    assert any("IF with r 1" in note for note in notes)
    assert any("CubaLIF with w_in 1" in note for note in notes)


def plain_file(path):
    return written(path, affine(), neurons("IF", uniform=True), shape=(64,))


def test_refuses_what_is_no_file_of_a_graph(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "absent.nir")
    (tmp_path / "text.nir").write_text("no graph")
    with pytest.raises(InputError, match="not an HDF5 file"):
        load(tmp_path / "text.nir")
    with h5py.File(tmp_path / "empty.nir", "w") as file:
        file["other"] = 1
    with pytest.raises(InputError, match="without a NIR graph"):
        load(tmp_path / "empty.nir")
    whole = plain_file(tmp_path / "cut.nir").read_bytes()
    (tmp_path / "cut.nir").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a complete NIR file"):
        load(tmp_path / "cut.nir")


def test_refuses_beyond_its_limits(tmp_path, monkeypatch):
    path = plain_file(tmp_path / "x.nir")
    for limit, value, said in (
        ("FILE_BYTES", 100, "bytes; the limit is 100"),
        ("ITEMS", 3, "4 values; the limit is 3"),
        ("DEPTH", 1, "2 levels of nesting; the limit is 1"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(f"BRAINLEAKS_LIMIT_{limit}", str(value))
            with pytest.raises(InputError, match=f"{said}.*BRAINLEAKS_LIMIT_{limit}"):
                load(path)
    with h5py.File(path, "a") as file:
        file["node/nodes/0"].create_dataset("bomb", (1 << 14, 1 << 14), "u1", compression="gzip")
    with pytest.raises(InputError, match="bytes once unpacked; the limit is 268,435,456"):
        load(path)
    plain_file(path)
    monkeypatch.setattr(nir_file, "_NODES", 3)
    with pytest.raises(InputError, match="4 nodes; at most 3"):
        load(path)


def test_follows_nothing_out_of_the_file(tmp_path):
    path = plain_file(tmp_path / "x.nir")
    with h5py.File(path, "a") as file:
        del file["node/nodes/0/weight"]
        file["node/nodes/0/weight"] = h5py.ExternalLink("other.nir", "/weight")
    with pytest.raises(InputError, match="is a link; links are not followed"):
        load(path)
    path = plain_file(tmp_path / "y.nir")
    with h5py.File(path, "a") as file:
        del file["node/nodes/0/weight"]
        outside = [(str(tmp_path / "raw"), 0, 64 * 10 * 8)]
        file["node/nodes/0"].create_dataset("weight", (10, 64), "f8", external=outside)
    with pytest.raises(InputError, match="stored in another file"):
        load(path)


@pytest.mark.parametrize("place", ["/version", "/node", "node/nodes/0"])
@pytest.mark.parametrize("link", [h5py.ExternalLink("secret.h5", "/node"), h5py.SoftLink("/other")])
def test_follows_no_link_anywhere(tmp_path, place, link):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["node"] = "a password"
    path = plain_file(tmp_path / "x.nir")
    with h5py.File(path, "a") as file:
        if place in file:
            del file[place]
        file[place] = link
    with pytest.raises(InputError, match="is a link; links are not followed") as caught:
        load(path)
    assert "password" not in str(caught.value)


def test_refuses_graphs_that_it_cannot_run(tmp_path):
    path = plain_file(tmp_path / "a.nir")
    with h5py.File(path, "a") as file:
        file["node/nodes/0/type"][()] = "Spinning"
    with pytest.raises(InputError, match="node 0 is a Spinning, which is not known here"):
        load(path)
    loop = [("input", "0"), ("0", "1"), ("1", "2"), ("2", "1"), ("1", "output")]
    circle = [affine(), affine(10), affine(10)]
    with pytest.raises(InputError, match="with a circle without a delay, "):
        load(written(tmp_path / "b.nir", *circle, shape=(64,), edges=loop))
    apart = [("input", "0"), ("0", "output"), ("1", "2"), ("2", "1")]
    with pytest.raises(InputError, match="no path leads from the input to node 1"):
        load(written(tmp_path / "b.nir", affine(), neurons("IF"), affine(10), edges=apart))
    back = [("input", "0"), ("0", "1"), ("1", "output"), ("output", "1")]
    with pytest.raises(InputError, match="an edge leaves output, the Output of the graph"):
        load(written(tmp_path / "b.nir", affine(), neurons("IF"), edges=back))
    nowhere = [("input", "0"), ("0", "output")]
    with pytest.raises(InputError, match=r"no edge leads to node 1 \(IF\)"):
        load(written(tmp_path / "c.nir", affine(), neurons("IF", uniform=True), edges=nowhere))
    path = plain_file(tmp_path / "d.nir")
    with h5py.File(path, "a") as file:
        del file["node/nodes/0/bias"]
    with pytest.raises(InputError, match=r"node 0 \(Affine\) lacks bias"):
        load(path)
    path = plain_file(tmp_path / "e.nir")
    with h5py.File(path, "a") as file:
        file["node/nodes/0/weight"][0, 0] = np.nan
    with pytest.raises(InputError, match=r"weight of node 0 \(Affine\) is NaN"):
        load(path)
    pooled = [flatten(), affine(16), neurons("IF", uniform=True)]
    with pytest.raises(
        InputError, match=r"node 1 \(Affine\).*omit layers that NIR does not support"
    ):
        load(written(tmp_path / "f.nir", *pooled))
    path = written(tmp_path / "g.nir", flatten(), affine(64), neurons("IF", uniform=True))
    with h5py.File(path, "a") as file:
        file["node/nodes/0/start_dim"][...] = 5
    with pytest.raises(InputError, match=r"node 0 \(Flatten\) of the NIR graph cannot take"):
        load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("node/nodes/0/weight", "text"),
        ("node/nodes/0/weight", 1.0),
        ("node/nodes/0/bias", np.ones((2, 2, 3))),
        ("node/nodes/1/r", np.ones(3)),
        ("node/nodes/1/r", "text"),
        ("node/nodes/1/v_threshold", np.zeros((0,))),
        ("node/nodes/input/shape", np.array([-4, 16])),
        ("node/nodes/input/shape", 0),
        ("node/nodes/input/shape", np.array([1 << 19, 1 << 19])),
        ("node/nodes/1/v_threshold", -np.ones(10)),
        ("node/nodes/1/v_threshold", np.full(10, 1e38)),
        ("node/edges", np.array([1, 2, 3])),
        ("node/edges", "ab"),
        ("node/nodes/1/type", 3),
        ("node/type", "LIF"),
    ],
)
def test_refuses_fields_that_make_no_sense(name, value, tmp_path):
    path = plain_file(tmp_path / "x.nir")
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = value
    with pytest.raises(InputError):
        load(path)


def test_refuses_missing_settings_and_data_that_does_not_fit(tmp_path):
    path = plain_file(tmp_path / "x.nir")
    for settings in ({"dt": None}, {"dt": 0.0}, {"reset": None}, {"reset": "hard"}):
        with pytest.raises(InputError, match=r"needs dt .* and reset"):
            load(path, **settings)
    with pytest.raises(InputError, match="has 10 outputs but the data has 4"):
        load(path, classes=4)
    with pytest.raises(
        InputError, match=r"takes inputs of shape \(64,\); the data has \(1, 9, 9\)"
    ):
        load(path, torch.zeros(4, 3, 1, 9, 9))
    with pytest.raises(InputError, match="takes spikes over time"):
        load(path, torch.zeros(3, 1, 8, 8))
    slow = written(tmp_path / "y.nir", affine(), neurons("LIF", uniform=True), shape=(64,))
    with pytest.raises(InputError, match="a step longer than the time constant overshoots"):
        load(slow, dt=1.0)
