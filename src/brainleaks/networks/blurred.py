"""A judge of another kind than the paper's evaluators: it sees shapes, not edges or contrast."""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional


class BlurredMLP(nn.Module):
    """Blur - standardise - ``Linear(D, hidden)`` - ReLU - ``Linear(hidden, C)``: images to logits.

    Each image is smoothed by a Gaussian as wide as a sixteenth of its shorter side, then made to
    have mean 0 and standard deviation 1: speckle, brightness and contrast do not count.
    """

    spiking = False
    window: Tensor

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, hidden: int = 256) -> None:
        super().__init__()
        sigma = max(0.5, min(input_shape[1:]) / 16)
        self.register_buffer("window", _gaussian(sigma))
        self.fc1 = nn.Linear(prod(input_shape), hidden)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, images: Tensor) -> Tensor:
        seen = standardise(self.blur(images).flatten(1))
        logits: Tensor = self.fc2(self.fc1(seen).relu())
        return logits

    def blur(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` smoothed along both sides, the border repeated outwards."""
        window, rows = self.window, images.flatten(0, 1).unsqueeze(1)
        reach = len(window) // 2
        rows = functional.pad(rows, (reach,) * 4, mode="replicate")
        rows = functional.conv2d(rows, window.view(1, 1, 1, -1))
        return functional.conv2d(rows, window.view(1, 1, -1, 1)).view_as(images)

    @property
    def activations(self) -> int:
        """Values kept for one image during a backward pass."""
        return 4 * self.fc1.in_features


def standardise(rows: Tensor) -> Tensor:
    """Each row of ``(B, D)`` with mean 0 and standard deviation 1; a flat one becomes 0."""
    centred = rows - rows.mean(1, keepdim=True)
    spread = centred.square().mean(1, keepdim=True).sqrt()
    return centred / spread.where(spread > 1e-8, 1.0)


def _gaussian(sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    window = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * sigma**2))
    return window / window.sum()
