"""Stateless layers of torch, for lowered networks."""

from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.neuron.synapse import spike_linear

Affine = nn.Linear | nn.Conv1d | nn.Conv2d
Pool = nn.AvgPool2d | nn.MaxPool2d
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


class CannotLower(Exception):  # noqa: N818 - it is no error: the network is audited as it is
    """Why a network cannot be lowered, in one clause."""


def is_affine(layer: nn.Module) -> bool:
    """Whether the layer computes an affine function of its input."""
    return isinstance(layer, Affine | nn.AvgPool2d | nn.Flatten | nn.Unflatten)


def affine(layer: nn.Module, rows: Tensor, bias: bool) -> Tensor:
    """Apply a stateless layer, with or without its bias."""
    if isinstance(layer, nn.Linear):
        zero = torch.zeros_like(layer.bias)
        return spike_linear(rows, layer.weight, layer.bias if bias else zero)
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        offset = layer.bias if bias else None
        return torch.as_tensor(layer._conv_forward(rows, layer.weight, offset))
    return torch.as_tensor(layer(rows))


@torch.no_grad()
def scale(layer: Affine, gain: float) -> None:
    """Multiply the layer's output by a positive factor, in place."""
    if not gain > 0:
        raise CannotLower(f"neurons multiply their input by {gain:g}")
    layer.weight.mul_(gain)
    if layer.bias is not None:
        layer.bias.mul_(gain)


@torch.no_grad()
def fold(layer: nn.Module | None, norm: BatchNorm) -> None:
    """Fold batch norm, as it evaluates, into the layer before it, in place."""
    if not isinstance(layer, Affine):
        raise CannotLower("batch norm does not directly follow a linear or convolutional layer")
    if norm.running_mean is None or norm.running_var is None:
        raise CannotLower("batch norm keeps no running statistics, so it normalises by each batch")
    factor = (norm.running_var + norm.eps).rsqrt()
    shift = -norm.running_mean * factor
    if norm.affine:
        factor, shift = factor * norm.weight, shift * norm.weight + norm.bias
    layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.ndim - 1)))
    if layer.bias is not None:  # lowered layers have one
        layer.bias.mul_(factor).add_(shift)


def plain(layer: nn.Module) -> Any:
    """Torch's own version of the layer, with a bias."""
    if isinstance(layer, nn.Linear):
        shape = (layer.in_features, layer.out_features)
        return _weighted(nn.Linear(*shape, device="meta"), layer)
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        kind: Any = nn.Conv1d if isinstance(layer, nn.Conv1d) else nn.Conv2d
        made = kind(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            padding_mode=layer.padding_mode,
            device="meta",
        )
        return _weighted(made, layer)
    if isinstance(layer, nn.MaxPool2d):
        settings = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        return nn.MaxPool2d(*settings, ceil_mode=layer.ceil_mode)
    if isinstance(layer, nn.AvgPool2d):
        return nn.AvgPool2d(
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.ceil_mode,
            layer.count_include_pad,
            layer.divisor_override,
        )
    if isinstance(layer, nn.Flatten):
        return nn.Flatten(layer.start_dim, layer.end_dim)
    if isinstance(layer, nn.Unflatten):
        return nn.Unflatten(layer.dim, layer.unflattened_size)
    raise CannotLower(f"{type(layer).__name__} is not supported by the fused network")


def _weighted(plain: Any, layer: Affine) -> Any:
    weight = layer.weight.detach().clone()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().clone()
    plain.weight, plain.bias = nn.Parameter(weight), nn.Parameter(bias)
    return plain
