"""Gradients of single samples, clipped and added up."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from brainleaks.networks import MLP, Response, SpikingMLP, respond
from brainleaks.networks.views import Coded
from brainleaks.training import Batch

#: The mean loss of a batch, from its response and targets.
Loss = Callable[[Response, Tensor], Tensor]


class Clipped(NamedTuple):
    """The samples of a batch.

    Attributes:
        gradients: the sum of the samples' clipped gradients, for each parameter of the network.
        norms: of each sample's gradient before it was clipped, ``(B,)``.
        loss: its mean.
        response: of the network.
    """

    gradients: list[Tensor]
    norms: Tensor
    loss: Tensor
    response: Response


def clipped(network: nn.Module, batch: Batch, loss: Loss, most: float) -> Clipped:
    """Scale each sample's gradient to at most a norm, and add them up.

    The norms of two fully connected layers need no gradient of a single sample. With the layer's
    inputs ``x_t`` and errors ``e_t``, the gradient of a sample is ``sum_t e_t x_t^T``, and its
    squared norm ``sum_{t,t'} (e_t . e_t') (x_t . x_t')``; of the bias ``|sum_t e_t|^2``. Scaled
    errors then give the sum in one product. Other networks see one sample after another.

    Args:
        network: is differentiated.
        batch: of ``B`` samples, at least one.
        loss: the mean over the batch. One sample's loss must not depend on the others.
        most: the largest norm of a sample's whole gradient.

    Reference: Goodfellow, "Efficient per-example gradient computations", arXiv 1510.01799, section
    5; Li, Tramer, Liang and Hashimoto, "Large language models can be strong differentially private
    learners", ICLR 2022, section 4 (over time).
    """
    inner: Any = network
    if isinstance(network, Coded):
        inner, batch = network.network, batch._replace(inputs=network.code(batch.inputs))
    if type(inner) in (MLP, SpikingMLP):
        return _by_factors(inner, batch, loss, most)
    return _one_by_one(network, batch, loss, most)


def _by_factors(network: Any, batch: Batch, loss: Loss, most: float) -> Clipped:
    size, read = len(batch.targets), list[Tensor]()
    handle = network.fc2.register_forward_hook(lambda _, given, out: read.extend((*given, out)))
    try:
        first = network.drive(batch.inputs)
        response = network.respond(first)
    finally:
        handle.remove()
    hidden, second = read
    mean = loss(response, batch.targets)
    errors = torch.autograd.grad(mean * size, [first, second], retain_graph=True)
    with torch.no_grad():
        inputs = batch.inputs.flatten(2 if network.spiking else 1)
        layers = zip((inputs, hidden), errors, strict=True)
        norms = torch.stack([_squared_norms(x, e, size) for x, e in layers]).sum(0).sqrt()
        scales = _scales(norms, most).unsqueeze(-1)
    gradients: list[Tensor] = []
    for output, error, layer in zip(
        (first, second), errors, (network.fc1, network.fc2), strict=True
    ):
        gradients += torch.autograd.grad(output, [layer.weight, layer.bias], error * scales)
    return Clipped(gradients, norms, mean, response)


def _squared_norms(inputs: Tensor, errors: Tensor, size: int) -> Tensor:
    """Of the gradients of one layer's weights and biases, ``(B,)``."""
    x, e = (v.reshape(-1, size, v.shape[-1]).transpose(0, 1) for v in (inputs, errors))
    weights = ((x @ x.mT) * (e @ e.mT)).sum((1, 2))
    return (weights + e.sum(1).square().sum(1)).clamp_min(0)


def _one_by_one(network: Any, batch: Batch, loss: Loss, most: float) -> Clipped:
    parameters, axis = list(network.parameters()), 1 if network.spiking else 0
    total = [torch.zeros_like(p) for p in parameters]
    norms, losses, responses = [], [], []
    for i, target in enumerate(batch.targets.split(1)):
        response = respond(network, batch.inputs.narrow(axis, i, 1))
        value = loss(response, target)
        own = torch.autograd.grad(value, parameters, materialize_grads=True)
        norm = torch.stack([g.square().sum() for g in own]).sum().sqrt()
        for sum_, gradient in zip(total, own, strict=True):
            sum_ += gradient * _scales(norm, most)
        norms.append(norm)
        losses.append(value.detach())
        responses.append(response)
    membrane = torch.cat([r.membrane for r in responses], 1)
    spikes = [r.spikes for r in responses if r.spikes is not None]
    whole = Response(torch.cat(spikes, 1) if spikes else None, membrane)
    return Clipped(total, torch.stack(norms), torch.stack(losses).mean(), whole)


def _scales(norms: Tensor, most: float) -> Tensor:
    return (most / norms.clamp_min(1e-12)).clamp_max(1)
