"""An architecture without what it has learned: the targets of the controls begin so."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from brainleaks.errors import first_line


def reinitialise(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy in which the entries of each weight are in random order.

    That keeps their distribution, and so how much the neurons fire, whatever the layers are and
    however the framework scales them; nothing that was learned is left in it. Single numbers, such
    as a layer's leak, stay; running averages of batch norm are reset.

    Args:
        network: is left as it is.
        generator: all randomness comes from it.
    """
    fresh = copy.deepcopy(network)
    for weight in fresh.parameters():
        order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
        weight.data = weight.data.flatten()[order].view_as(weight)
        weight.requires_grad_(weight.is_floating_point())
    for layer in fresh.modules():
        if isinstance(layer, nn.modules.batchnorm._NormBase):
            layer.reset_running_stats()
    return fresh


def why_not_trainable(network: nn.Module, loss: Callable[[nn.Module], Tensor]) -> str | None:
    """Why the architecture cannot be retrained, or ``None`` if it can.

    Args:
        network: the architecture.
        loss: of a network like it, on a few samples.
    """
    if not any(weight.numel() > 1 for weight in network.parameters()):
        return "it has no weights that can be seen"
    try:
        fresh = reinitialise(network, torch.Generator().manual_seed(0)).train()
        loss(fresh).backward()
    except Exception as error:  # a stranger's network may raise anything
        return first_line(error)
    gradients = [weight.grad for weight in fresh.parameters() if weight.grad is not None]
    if not gradients:
        return "its answers do not depend on its weights in a way that can be differentiated"
    if not all(gradient.isfinite().all() for gradient in gradients):
        return "its gradients hold NaN or infinity"
    return None
