"""What a network answers."""

from typing import NamedTuple

from torch import Tensor, nn


class Response(NamedTuple):
    """Output layer over time.

    ``membrane`` is ``(T, B, C)``: the output membrane potential, or the logits of an ordinary
    network, which are its only time step. ``spikes`` has the same shape, or is ``None`` for an
    ordinary network.
    """

    spikes: Tensor | None
    membrane: Tensor


def respond(network: nn.Module, inputs: Tensor) -> Response:
    """Ask any network of this package, spiking ``(T, B, C, H, W)`` or not ``(B, C, H, W)``."""
    output = network(inputs)
    return output if isinstance(output, Response) else Response(None, output.unsqueeze(0))
