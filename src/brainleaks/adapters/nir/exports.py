"""Known errors of frameworks' NIR exports that are visible in the file."""

from typing import Any

import numpy as np

from brainleaks.adapters.nir.graph import Graph


def notes(graph: Graph) -> list[str]:
    """Notes on known export errors for these neurons."""
    found = []
    for node in graph.nodes.values():
        if node["type"] == "LIF" and _all_equal(node["r"] * 1e-4, node["tau"]):
            found.append(
                "LIF with r = tau / 1e-4, as snnTorch exports it: if snnTorch did, note that it "
                "writes a subtractive reset as a reset to zero without saying so, and leaves out "
                "the padding of average pooling. Give reset as the network was trained; as "
                "snnTorch subtracts after the leak and NIR before it, audit a subtractive network "
                "as a snnTorch module for the same spikes."
            )
        if node["type"] == "IF" and _all_equal(node["r"], 1.0):
            found.append(
                "IF with r 1: Norse exports its IAFCell so, though Norse adds inputs undivided, "
                "which is r = 1 / dt; audit the Norse module itself for the same spikes."
            )
        if node["type"] == "CubaLIF" and _all_equal(node.get("w_in", 1.0), 1.0):
            found.append(
                "CubaLIF with w_in 1: Norse exports its LIFCell so, though Norse adds inputs to "
                "the current undivided, which is w_in = tau_syn / dt; audit the Norse module "
                "itself for the same spikes."
            )
    return list(dict.fromkeys(found))


def _all_equal(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-5, atol=0))
