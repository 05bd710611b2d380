"""Stage: how many spikes a network fires for a sample."""

from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.data.dataset import Samples
from brainleaks.networks import respond_in_pieces
from brainleaks.neuron import LIF
from brainleaks.randomness import stream
from brainleaks.training.loop import Encode

_BATCH = 50


@torch.no_grad()
def count_spikes(
    network: nn.Module, samples: Samples, *, encode: Encode, name: str, seed: int
) -> float:
    """The mean number of spikes of all spiking neurons together, over the samples.

    Args:
        network: in which only neurons of this package are counted.
        samples: what it is shown.
        encode: turns images into what the network takes.
        name: of the network, for its random stream.
        seed: of the run.
    """
    total = torch.zeros((), dtype=torch.float64)

    def count(layer: nn.Module, arguments: Any, output: tuple[Tensor, Tensor]) -> None:
        total.add_(output[0].sum(dtype=torch.float64).cpu())

    layers = [layer for layer in network.modules() if isinstance(layer, LIF)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    device = next(network.parameters()).device
    noise = stream(seed, name, "spikes", device=device)
    try:
        for places in torch.arange(len(samples.labels)).split(_BATCH):
            respond_in_pieces(network, encode(samples.inputs[places].to(device), noise))
    finally:
        for handle in handles:
            handle.remove()
    return float(total) / len(samples.labels)
