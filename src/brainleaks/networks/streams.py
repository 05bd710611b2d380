"""Ordinary classifiers of recordings of channels ``(B, C, T, N)``, for judging reconstructions."""

import torch
from torch import Tensor, nn

_WIDTH, _PIECES = 64, 8


class StreamConv(nn.Module):
    """Two convolutions over time, pooled to eight pieces of the recording, and a linear layer."""

    spiking = False

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        depth, self.steps, channels = input_shape
        self.conv1 = nn.Conv1d(depth * channels, _WIDTH, 5, padding=2)
        self.conv2 = nn.Conv1d(_WIDTH, _WIDTH, 5, padding=2)
        self.pool = nn.AdaptiveMaxPool1d(_PIECES)
        self.fc1 = nn.Linear(_WIDTH * _PIECES, classes)

    def forward(self, recordings: Tensor) -> Tensor:
        seen = _by_time(recordings).transpose(1, 2)
        seen = torch.relu(self.conv2(torch.relu(self.conv1(seen))))
        logits: Tensor = self.fc1(self.pool(seen).flatten(1))
        return logits

    @property
    def activations(self) -> int:
        """Values kept for one recording during a backward pass."""
        return self.steps * (self.conv1.in_channels + 4 * _WIDTH)


class StreamGRU(nn.Module):
    """A gated recurrent layer, and a linear layer of its mean over time."""

    spiking = False

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        depth, self.steps, channels = input_shape
        self.gru = nn.GRU(depth * channels, _WIDTH, batch_first=True)
        self.fc1 = nn.Linear(_WIDTH, classes)

    def forward(self, recordings: Tensor) -> Tensor:
        states, _ = self.gru(_by_time(recordings))
        logits: Tensor = self.fc1(states.mean(1))
        return logits

    @property
    def activations(self) -> int:
        """Values kept for one recording during a backward pass."""
        return self.steps * (self.gru.input_size + 8 * _WIDTH)


class ChannelTotals(nn.Module):
    """Two layers that see how much each channel fires, and nothing of when."""

    spiking = False

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        depth, self.steps, channels = input_shape
        self.fc1 = nn.Linear(depth * channels, 4 * _WIDTH)
        self.fc2 = nn.Linear(4 * _WIDTH, classes)

    def forward(self, recordings: Tensor) -> Tensor:
        totals = _by_time(recordings).sum(1)
        spread = totals.std(1, keepdim=True, correction=0).clamp(min=1e-6)
        totals = (totals - totals.mean(1, keepdim=True)) / spread
        logits: Tensor = self.fc2(torch.relu(self.fc1(totals)))
        return logits

    @property
    def activations(self) -> int:
        """Values kept for one recording during a backward pass."""
        return self.fc1.in_features * (self.steps + 1) + 8 * _WIDTH


def _by_time(recordings: Tensor) -> Tensor:
    """``(B, C, T, N)`` to ``(B, T, C N)``."""
    return recordings.transpose(1, 2).flatten(2)
