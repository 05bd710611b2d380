"""Random streams: every draw is a function of a seed and of what it is for.

A stream named ``(seed, "epoch", 3)`` gives the same numbers whatever was drawn before it, so a
job that was cut off goes on with the numbers it would have had, and a class attacked alone
draws what it would have drawn beside the others.
"""

import hashlib

import torch
from torch import Tensor


def draw_seed(generator: torch.Generator | None) -> int:
    """The next seed for a family of streams, from a generator that was handed in.

    ``None`` is a fresh generator of seed 0: the same seed each time.
    """
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def stream(seed: int, *purpose: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh generator for one purpose, on ``device``."""
    digest = hashlib.sha256(repr((seed, purpose)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def class_uniform(
    seed: int, purpose: str | int, labels: Tensor, shape: tuple[int, ...], *, like: Tensor
) -> Tensor:
    """Uniform numbers in [0, 1), ``(len(labels), *shape)``: each class has a stream of its own."""
    out = like.new_empty(len(labels), *shape)
    for row, label in zip(out, labels.tolist(), strict=True):
        row.uniform_(generator=stream(seed, purpose, label, device=like.device))
    return out
