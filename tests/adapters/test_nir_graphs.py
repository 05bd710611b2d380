"""NIR graphs that are no chain: every node type, circles, graphs in a graph, the paper's files."""

import os
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
import torch
from adapting import check_target, spikes
from test_nir import DT, affine, flatten, load, neurons, parameters, simulated, written

from brainleaks import InputError
from brainleaks.adapters import nir as adapter

STEPS = 14


def network_of(path, reset="zero", dt=DT):
    return adapter.NirNetwork(adapter.read_graph(path), dt, reset)


def rows(samples, weights):
    """Currents ``(T, B, N)`` of an affine node."""
    return samples.flatten(2).double().numpy() @ weights.weight.T + weights.bias


def test_scale_threshold_and_delay(tmp_path):
    """Written out: a factor, a step, and for each neuron a shift in time of its own."""
    delay = np.array([0.0, 1, 2, 5, 3] * 2) * DT
    nodes = (
        flatten(),
        affine(),
        nir.Scale(np.linspace(0.5, 2, 10)),
        nir.Threshold(np.linspace(-0.2, 0.6, 10)),
        nir.Delay(delay),
    )
    samples = spikes(batch=3, steps=STEPS)
    network = network_of(written(tmp_path / "x.nir", *nodes))
    found = network(samples.double()).membrane.numpy()
    above = rows(samples, affine()) * np.linspace(0.5, 2, 10) > np.linspace(-0.2, 0.6, 10)
    expected = np.zeros_like(found)
    for n, late in enumerate(np.rint(delay / DT).astype(int)):
        expected[late:, :, n] = above[: STEPS - late, :, n]
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(found, expected)


CIRCLE = [("input", "0"), ("0", "1"), ("1", "2"), ("2", "3"), ("3", "2"), ("2", "4"), ("4", "5"),
          ("5", "output")]  # fmt: skip


def recurrent(path, kind="LIF", edges=CIRCLE):
    nodes = (
        flatten(), affine(64, 12, gain=2), neurons(kind, 12), affine(12, 12, 3, gain=2),
        affine(12, 10, 1, gain=3), neurons("LI", 10),
    )  # fmt: skip
    return written(path, *nodes, edges=edges)


def stepped(samples, kind, reset):
    """A recurrent layer in a loop of its own: spikes come back one step later."""
    current = rows(samples, affine(64, 12, gain=2))
    back = affine(12, 12, 3, gain=2)
    fired = np.zeros(current.shape)
    for b in range(current.shape[1]):
        total = np.zeros_like(current[:, b])
        for t in range(len(total)):
            last = fired[t - 1, b] if t else np.zeros(12)
            total[t] = current[t, b] + back.weight @ last + back.bias
            # what came before is simulated again: slow, and without a state to get wrong
            p = parameters(kind, 12)
            fired[t, b] = simulated(kind, p, DT, reset, total[: t + 1])[0][t]
    return fired


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
def test_what_comes_back_is_of_the_step_before(kind, reset, tmp_path):
    samples = spikes(batch=2, steps=STEPS)
    fired = stepped(samples, kind, reset)
    assert 0.05 < fired.mean() < 0.9
    current = fired @ affine(12, 10, 1, gain=3).weight.T + affine(12, 10, 1, gain=3).bias
    found = network_of(recurrent(tmp_path / "x.nir", kind), reset)(samples.double()).membrane
    for b in range(2):
        _, trace = simulated("LI", parameters("LI", 10), DT, reset, current[:, b])
        np.testing.assert_allclose(found[:, b].numpy(), trace, rtol=1e-9, atol=1e-12)


def test_a_recurrent_graph_is_lowered_and_attacked(tmp_path):
    adapted = load(recurrent(tmp_path / "x.nir"))
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    assert hasattr(adapted.network, "drive")
    network = network_of(recurrent(tmp_path / "x.nir")).float()
    new = spikes(seed=1)
    torch.testing.assert_close(adapted.network(new).membrane, network(new).membrane)
    check_target(adapted.network, new)


def test_a_neuron_that_excites_itself(tmp_path):
    edges = [("input", "0"), ("0", "1"), ("1", "2"), ("2", "2"), ("2", "output")]
    path = written(tmp_path / "x.nir", flatten(), affine(), neurons("IF"), edges=edges)
    samples = spikes(batch=1, steps=STEPS)
    current, fired = rows(samples, affine())[:, 0], np.zeros((STEPS, 10))
    for t in range(STEPS):
        current[t] += fired[t - 1] if t else 0
        p = parameters("IF", 10)
        fired[t] = simulated("IF", p, DT, "zero", current[: t + 1])[0][t]
    np.testing.assert_array_equal(network_of(path)(samples.double()).spikes[:, 0].numpy(), fired)


def test_a_graph_in_a_graph_is_the_same_graph(tmp_path):
    inner = nir.NIRGraph(
        {
            "input": nir.Input(np.array([12])), "lif": neurons("LIF", 12),
            "lin": affine(12, 12, 3, gain=2), "output": nir.Output(np.array([12])),
        },
        [("input", "lif"), ("lif", "lin"), ("lin", "lif"), ("lif", "output")],
        type_check=False,
    )  # fmt: skip
    chain = [("input", "0"), ("0", "1"), ("1", "2"), ("2", "3"), ("3", "4"), ("4", "output")]
    nodes = (flatten(), affine(64, 12, gain=2), inner, affine(12, 10, 1, gain=3), neurons("LI", 10))
    nested = network_of(written(tmp_path / "x.nir", *nodes, edges=chain))
    flat = network_of(recurrent(tmp_path / "y.nir"))
    samples = spikes().double()
    assert torch.equal(nested(samples).membrane, flat(samples).membrane)


def test_two_circles_and_a_circle_in_a_circle(tmp_path):
    """They are found and run; the answer is finite and depends on each of them."""
    nodes = [
        flatten(), affine(64, 12, gain=2), neurons("LIF", 12), affine(12, 12, 3, gain=4),
        neurons("LIF", 12), affine(12, 12, 4, gain=4), affine(12, 10, 1, gain=3), neurons("LI", 10),
    ]  # fmt: skip
    chain = [("input", "0"), ("0", "1"), ("1", "2"), ("2", "3"), ("3", "4"), ("4", "6"),
             ("6", "7"), ("7", "output")]  # fmt: skip
    answers = []
    back = [("4", "5"), ("5", "2")]
    for more in (back, [("4", "5"), ("5", "4")], [*back, ("2", "2")], [*back, ("4", "4")]):
        network = network_of(written(tmp_path / "x.nir", *nodes, edges=chain + more))
        answers.append(network(spikes().double()).membrane)
    assert all(answer.isfinite().all() for answer in answers)
    for i, first in enumerate(answers):
        assert not any(torch.equal(first, other) for other in answers[:i])


PAPER = {
    "braille_bias_zero": ("subtract", 1e-4, (12,), 7),
    "braille_bias_zero_subgraph": ("subtract", 1e-4, (12,), 7),
    "cnn_sinabs": ("subtract", 1.0, (2, 34, 34), 10),
    "lif_norse": ("zero", 1e-4, (1,), 1),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_files_of_the_nir_paper_are_run(name):
    path = Path(os.environ.get("BRAINLEAKS_DATA", "none")) / "nir" / f"{name}.nir"
    if not path.is_file():
        pytest.skip("the files of the NIR paper are not there")
    reset, dt, shape, classes = PAPER[name]
    network = network_of(path, reset, dt).float()
    generator = torch.Generator().manual_seed(0)
    samples = (torch.rand(30, 2, *shape, generator=generator) < 0.3).float()
    response = network(samples)
    assert response.membrane.shape == (30, 2, classes)
    assert response.membrane.isfinite().all()
    assert response.membrane.any()


def test_the_papers_nested_graph_is_its_flat_one():
    folder = Path(os.environ.get("BRAINLEAKS_DATA", "none")) / "nir"
    if not folder.is_dir():
        pytest.skip("the files of the NIR paper are not there")
    both = [folder / f"braille_bias_zero{end}.nir" for end in ("", "_subgraph")]
    graphs = [adapter.read_graph(path) for path in both]
    assert graphs[1].said == ["Edges name the node 'lif', which the file calls 'lif1'."]
    samples = (torch.rand(40, 3, 12, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    flat, nested = (adapter.NirNetwork(graph, 1e-4, "subtract") for graph in graphs)
    assert flat(samples).spikes.any()
    weights = [dict(net.named_parameters()) for net in (flat, nested)]
    same = [
        any(a.shape == b.shape and torch.equal(a, b) for b in weights[1].values())
        for a in weights[0].values()
    ]
    if all(same):  # the paper may have trained them apart
        assert torch.equal(flat(samples).spikes, nested(samples).spikes)


def test_a_nested_graph_without_an_output_is_refused(tmp_path):
    path = written(tmp_path / "x.nir", flatten(), affine(), neurons("LI", 10))
    with h5py.File(path, "a") as file:
        nodes = file["node/nodes"]
        group = nodes.create_group("0_")
        group["type"] = "NIRGraph"
        group.create_group("nodes")
    with pytest.raises(InputError, match="the graph 0_ has 0 Input nodes; expected one"):
        load(path)
    with h5py.File(path, "a") as file:
        del file["node/nodes/0_/type"]
        file["node/nodes/0_/type"] = np.zeros(3)
    with pytest.raises(InputError, match="node 0_ is a ndarray, which is not known here"):
        load(path)
