"""What attacks maximise or minimise: one value a sample, from a network's response."""

import torch
from torch import Tensor

from brainleaks.networks import Readout, Response


def confidence(response: Response, labels: Tensor, readout: Readout = "membrane") -> Tensor:
    """``p_c = mean over t of softmax(U[t])_c``, ``(B,)`` in [0, 1] (PROTOCOL, Notation).

    ``readout="spikes"`` takes the softmax of the output spikes instead of the membrane.

    Raises:
        ValueError: if spikes are read from an ordinary network.
    """
    trace = response.membrane if readout == "membrane" else response.spikes
    if trace is None:
        raise ValueError("readout is 'spikes'; an ordinary network has none.")
    return _of_class(trace.softmax(-1), labels)


def negative_log_likelihood(response: Response, labels: Tensor) -> Tensor:
    """``-mean over t of log softmax(U[t])_c``, ``(B,)``."""
    return -_of_class(response.membrane.log_softmax(-1), labels)


def contrast(response: Response, labels: Tensor) -> Tensor:
    """The class's membrane less the mean of all classes', mean over time, ``(B,)``."""
    membrane = response.membrane
    return _of_class(membrane - membrane.mean(-1, keepdim=True), labels)


def log_odds(response: Response, labels: Tensor) -> Tensor:
    """``mean over t of log(p / (1 - p))`` with ``p = softmax(U[t])_c``, ``(B,)``.

    Unlike a confidence it does not level off: what is nearly certain may still be made surer.
    """
    membrane = response.membrane
    own = labels.view(1, -1, 1).expand(len(membrane), -1, 1)
    others = membrane.scatter(2, own, -torch.inf).logsumexp(-1, keepdim=True)
    return (membrane.gather(2, own) - others).mean((0, 2))


def _of_class(trace: Tensor, labels: Tensor) -> Tensor:
    """Mean over time of each sample's own class in a ``(T, B, C)`` trace."""
    return trace.mean(0).gather(1, labels.unsqueeze(1)).squeeze(1)
