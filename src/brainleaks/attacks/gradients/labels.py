"""The labels of recovered samples, by the gradients that each label would have given."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainleaks.attacks.gradients.step import TrainingStep
from brainleaks.errors import InputError
from brainleaks.networks import Response, respond
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


def last_bias(network: nn.Module, step: TrainingStep) -> tuple[str, Tensor]:
    """The name of the bias that the logits end with, and its gradient.

    Raises:
        InputError: if there is none.
    """
    linear = [n for n, m in network.named_modules() if isinstance(m, nn.Linear)]
    name = f"{linear[-1]}.bias" if linear else "bias"
    gradient = step.gradients.get(name)
    if gradient is None:
        raise InputError(
            "the training step: there is no gradient of the last layer's bias, by which this "
            "attack counts labels."
        )
    return name, gradient.detach().float()


def counted(network: nn.Module, step: TrainingStep, inputs: Tensor, size: int) -> Tensor:
    """The labels of a batch, in the order of their classes, ``(size,)``.

    The gradient of the last layer's bias is a sum over the batch of what the network says, less
    what it should say. What it says of any inputs is nearly what it says of the private ones, as
    long as it is not trained (Geng et al., "Towards general deep leakage in federated learning",
    2021).

    Args:
        network: asks for the gradients of its weights.
        step: with the gradient of the last layer's bias.
        inputs: for the network, as many as the batch has.
        size: of the batch.

    Raises:
        InputError: if that gradient is missing.
    """
    name, seen = last_bias(network, step)
    trace, bias = respond(network, inputs).membrane, network.get_parameter(name)
    (said,) = torch.autograd.grad(trace.logsumexp(-1).sum(), bias, retain_graph=True)
    (each,) = torch.autograd.grad(trace.sum() / size, bias)  # of one sample, for one class
    return most_wanted((said - size * seen.to(said)) / each, size)


def most_wanted(wanted: Tensor, size: int) -> Tensor:
    """Labels ``(size,)`` in the order of their classes, from how many of each are wanted."""
    left, chosen = wanted.clone(), []
    for _ in range(size):
        chosen.append(int(left.argmax()))
        left[chosen[-1]] -= 1
    return torch.tensor(sorted(chosen), device=wanted.device)
