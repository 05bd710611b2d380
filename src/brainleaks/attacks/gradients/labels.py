"""The labels of recovered samples, by the gradients that each label would have given."""

import torch
from torch import Tensor
from torch.nn import functional

from brainleaks.networks import Response
from brainleaks.target import Target


def agreement(target: Target, inputs: Tensor, errors: Tensor) -> Tensor:
    """How well the loss of each class explains what the first layer was told, ``(B, classes)``.

    Cosine similarities. The best one names the label, and is nearly 1 at the weights that the
    sample was seen at.

    Args:
        target: the network that was trained on them; grants gradients.
        inputs: ``(T, B, *input_shape)``.
        errors: at the first layer's output, summed over time, ``(B, H)``.
    """
    found, entry = [], target.entry(inputs)
    for label in range(target.classes):
        wanted = torch.full((len(errors),), label, device=inputs.device)
        expected = target.gradient_at(entry, wanted, summed_loss)
        found.append(torch.cosine_similarity(expected, errors, dim=1))
    return torch.stack(found, 1)


def summed_loss(response: Response, labels: Tensor) -> Tensor:
    """Cross-entropy of ``U[t]``, summed over time, of each sample ``(B,)``; that of training."""
    steps, batch = response.membrane.shape[:2]
    trace = response.membrane.flatten(0, 1)
    each = functional.cross_entropy(trace, labels.repeat(steps), reduction="none")
    summed: Tensor = each.unflatten(0, (steps, batch)).sum(0)
    return summed
