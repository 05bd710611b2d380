"""Stateless layers of torch, for lowered networks."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.networks.conv import PIECE
from brainleaks.networks.pool import max_pool
from brainleaks.neuron.synapse import spike_linear

Affine = nn.Linear | nn.Conv1d | nn.Conv2d
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
#: Layers of torch that treat each sample alone, and are copied as they are.
_COPIED = (
    nn.ReLU | nn.LeakyReLU | nn.Sigmoid | nn.Tanh | nn.Upsample | nn.LayerNorm | nn.GroupNorm
    | nn.AvgPool1d | nn.MaxPool1d | nn.ConvTranspose2d | nn.Softmax | nn.ELU | nn.GELU | nn.SiLU
)  # fmt: skip
_ADAPTIVE = nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d
_SUPPORTED = Affine | BatchNorm | nn.AvgPool2d | nn.MaxPool2d | _ADAPTIVE | nn.Flatten


class CannotLower(Exception):  # noqa: N818 - it is no error: the network is audited as it is
    """Why a network cannot be lowered, in one clause."""


def is_affine(layer: nn.Module) -> bool:
    """Whether the layer computes an affine function of its input."""
    kinds = Affine | BatchNorm | nn.AvgPool2d | nn.AdaptiveAvgPool2d | nn.Flatten | nn.Unflatten
    return isinstance(layer, kinds)


def is_supported(layer: nn.Module) -> bool:
    """Whether the layer is one of torch's that treat each sample and time step alone."""
    return isinstance(layer, _SUPPORTED) or _is_torchs(layer) or _is_transposed(layer)


def _is_transposed(layer: nn.Module) -> bool:
    """Whether it is Rockpool's linear layer, whose weight is (inputs, outputs)."""
    kind = type(layer)
    return kind.__module__.startswith("rockpool.") and kind.__name__ == "LinearTorch"


def _is_torchs(layer: nn.Module) -> bool:
    return isinstance(layer, _COPIED) and type(layer).__module__.startswith("torch.nn")


def through(layers: Sequence[nn.Module], rows: Tensor, *, bias: bool = True) -> Tensor:
    """Apply stateless layers one after the other, to frames in pieces that stay in the cache.

    Batch norm that trains normalises by pieces, as it does by time steps in networks that loop.

    Args:
        layers: in order.
        rows: ``(T*B, ...)``.
        bias: whether affine layers add theirs.
    """
    if rows.ndim != 4 or len(rows) <= PIECE:
        return _through(layers, rows, bias)
    return torch.cat([_through(layers, piece, bias) for piece in rows.split(PIECE)])


def _through(layers: Sequence[nn.Module], rows: Tensor, bias: bool) -> Tensor:
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            rows = rows.contiguous(memory_format=torch.channels_last)
        rows = affine(layer, rows, bias)
    return rows


def affine(layer: nn.Module, rows: Tensor, bias: bool) -> Tensor:
    """Apply a stateless layer, with or without its bias."""
    if isinstance(layer, nn.Linear):
        zero = torch.zeros_like(layer.bias)
        return spike_linear(rows, layer.weight, layer.bias if bias else zero)
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        offset = layer.bias if bias else None
        return torch.as_tensor(layer._conv_forward(rows, layer.weight, offset))
    if isinstance(layer, nn.MaxPool2d) and _halves(layer):
        return max_pool(rows)
    if isinstance(layer, BatchNorm) and not bias and not layer.training:
        factor = (torch.as_tensor(layer.running_var) + layer.eps).rsqrt()
        factor = factor * layer.weight if layer.affine else factor
        return rows * factor.view(-1, *[1] * (rows.ndim - 2))
    return torch.as_tensor(layer(rows))


@torch.no_grad()
def scale(layer: Affine | BatchNorm, gain: float) -> None:
    """Multiply the layer's output by a positive factor, in place."""
    if not gain > 0:
        raise CannotLower(f"neurons multiply their input by {gain:g}")
    layer.weight.mul_(gain)
    if layer.bias is not None:
        layer.bias.mul_(gain)


def _halves(layer: nn.MaxPool2d) -> bool:
    """Whether it is the 2 x 2 pooling that :mod:`brainleaks.networks.pool` computes."""
    sizes = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)
    return sizes in ((2, 2, 0, 1, False), ((2, 2), (2, 2), (0, 0), (1, 1), False))


def plain(layer: nn.Module) -> Any:
    """Torch's own version of the layer, with a bias; what is not torch's is copied."""
    if isinstance(layer, nn.Linear):
        shape = (layer.in_features, layer.out_features)
        return _weighted(nn.Linear(*shape, device="meta"), layer)
    if _is_transposed(layer):
        return _transposed(layer)
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
    if isinstance(layer, BatchNorm):
        return _normalising(layer)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return nn.AdaptiveAvgPool2d(layer.output_size)
    if isinstance(layer, nn.AdaptiveMaxPool2d):
        return nn.AdaptiveMaxPool2d(layer.output_size)
    return copy.deepcopy(layer)


def _transposed(layer: Any) -> nn.Linear:
    made = nn.Linear(*layer.weight.shape)
    made.weight = nn.Parameter(layer.weight.detach().t().clone())
    bias = getattr(layer, "bias", None)
    offset = torch.zeros(len(made.weight)) if bias is None else bias.detach().clone()
    made.bias = nn.Parameter(offset.to(made.weight).expand(len(made.weight)).clone())
    return made


@torch.no_grad()
def _normalising(layer: Any) -> Any:
    kind: Any = nn.BatchNorm1d if isinstance(layer, nn.BatchNorm1d) else nn.BatchNorm2d
    made = kind(layer.num_features, layer.eps, layer.momentum)
    made.running_mean.copy_(layer.running_mean)
    made.running_var.copy_(layer.running_var)
    if layer.affine:
        made.weight.data, made.bias.data = (
            layer.weight.detach().clone(),
            layer.bias.detach().clone(),
        )
    return made.to(layer.running_mean.device)


def _weighted(plain: Any, layer: Affine) -> Any:
    weight = layer.weight.detach().clone()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().clone()
    plain.weight, plain.bias = nn.Parameter(weight), nn.Parameter(bias)
    return plain
