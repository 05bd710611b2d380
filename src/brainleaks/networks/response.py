"""What a network answers."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

#: Which output trace is read: the membrane potential or the spikes.
Readout = Literal["membrane", "spikes"]

_PIECE_BYTES = 1 << 30


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


@torch.no_grad()
def respond_in_pieces(network: Any, inputs: Tensor) -> Response:
    """As :func:`respond`, without gradients, cut along the batch to bound memory."""
    steps = inputs.shape[0] if network.spiking else 1
    size = max(1, _PIECE_BYTES // (4 * steps * network.activations))
    pieces = [respond(network, part) for part in inputs.split(size, 1 if network.spiking else 0)]
    spikes = [piece.spikes for piece in pieces if piece.spikes is not None]
    membrane = torch.cat([piece.membrane for piece in pieces], 1)
    return Response(torch.cat(spikes, 1) if spikes else None, membrane)
