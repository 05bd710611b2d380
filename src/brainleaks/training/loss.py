"""What training minimises, and what a network predicts."""

from torch import Tensor
from torch.nn import functional

from brainleaks.networks import Readout, Response


def summed_cross_entropy(response: Response, targets: Tensor) -> Tensor:
    """Cross-entropy of ``U[t]``, summed over time, mean over the batch.

    Args:
        response: of a batch of ``B`` samples.
        targets: classes ``(B,)``, or the probability of each class, ``(B, C)``.
    """
    steps, batch = response.membrane.shape[:2]
    trace = response.membrane.flatten(0, 1)
    repeated = targets.repeat(steps, *(1,) * (targets.ndim - 1))
    return functional.cross_entropy(trace, repeated, reduction="sum") / batch


def prediction(response: Response, readout: Readout) -> Tensor:
    """The class that is named, ``(B,)``: the argmax of the read-out summed over time."""
    if readout == "spikes" and response.spikes is not None:
        return response.spikes.sum(0).argmax(1)
    return response.membrane.sum(0).argmax(1)
