import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from brainleaks.neuron import synapse
from brainleaks.neuron.synapse import spike_linear


@pytest.mark.parametrize("density", [0.0, 0.02, 0.19, 0.6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_dense_product(density, dtype):
    """Values and all three gradients, on both sides of the crossover."""
    generator = torch.Generator().manual_seed(0)
    spikes = (torch.rand(6, 9, 300, generator=generator) < density).to(dtype)
    spikes = spikes * torch.rand(spikes.shape, generator=generator, dtype=dtype)
    weight = torch.randn(130, 300, generator=generator, dtype=dtype)
    bias = torch.randn(130, generator=generator, dtype=dtype)
    leaves = [t.requires_grad_() for t in (spikes, weight, bias)]
    pull = torch.randn(6, 9, 130, generator=generator, dtype=dtype)
    found, expected = spike_linear(*leaves), functional.linear(*leaves)
    is_event_driven = "EventDriven" in type(found.grad_fn).__name__
    assert is_event_driven == (density < synapse.EVENT_DRIVEN_BELOW)
    tolerance = (
        {"rtol": 1e-5, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    )
    torch.testing.assert_close(found, expected, **tolerance)
    for a, b in zip(
        torch.autograd.grad(found, leaves, pull),
        torch.autograd.grad(expected, leaves, pull),
        strict=True,
    ):
        torch.testing.assert_close(a, b, **tolerance)


def test_without_compiler_every_product_is_dense(monkeypatch):
    monkeypatch.setattr(synapse, "_sparse", None)
    bias = torch.rand(3)
    found = spike_linear(torch.zeros(2, 5, 8), torch.rand(3, 8), bias)
    assert torch.equal(found, bias.expand(2, 5, 3))


def test_compiled_kernels_leave_torchs_threads_alone():
    """Numba's threads start with the first kernel; OpenMP's number is shared with torch."""
    code = (
        "import torch\n"
        "from brainleaks.neuron.synapse import event_driven_linear\n"
        "before = torch.get_num_threads()\n"
        "spikes = torch.zeros(40, 30)\n"
        "spikes[::3, ::7] = 1\n"
        "event_driven_linear(spikes, torch.rand(20, 30), torch.rand(20))\n"
        "assert torch.get_num_threads() == before == 1\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=120)
