"""What a training carries from one epoch to the next."""

import torch
from torch import nn

from brainleaks.monitor import State

_BUFFER = "buffer "


def state_of(network: nn.Module, optimiser: torch.optim.Adam) -> State:
    """Weights, buffers and Adam's memory, by name; the next step changes them in place."""
    state = {f"weights.{name}": p.detach() for name, p in network.named_parameters()}
    for name, p in network.named_parameters():
        for key, value in optimiser.state[p].items():
            state[f"adam.{key}.{name}"] = value
    buffers = {f"{_BUFFER}{name}": b for name, b in network.named_buffers() if b is not None}
    return state | buffers


def restore(network: nn.Module, optimiser: torch.optim.Adam, state: State) -> None:
    """Put back what :func:`state_of` gave."""
    for name, p in network.named_parameters():
        p.data.copy_(state[f"weights.{name}"])
        for key in ("step", "exp_avg", "exp_avg_sq"):
            value = state.get(f"adam.{key}.{name}")
            if value is not None:
                # Adam walks raw memory: its moments must lie as the weights do
                moment = value.clone() if key == "step" else torch.empty_like(p).copy_(value)
                optimiser.state[p][key] = moment
    for name, b in network.named_buffers():
        kept = state.get(f"{_BUFFER}{name}")
        # but what a layer remembers of its last input's shape
        if b is not None and kept is not None and kept.shape == b.shape:
            b.data.copy_(kept)
