"""Images of few unknowns, and how a target is asked about many of them.

An attack that sees no gradients pays for every unknown in queries. Images are smooth, so that a few
hundred low frequencies hold most of one.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from brainleaks.data.encoding import bernoulli
from brainleaks.monitor import Monitor
from brainleaks.randomness import stream
from brainleaks.target import Target

#: Spike trains held at a time while many images are asked about.
_BYTES = 64 * 2**20


def low_frequencies(input_shape: tuple[int, ...], count: int) -> Tensor:
    """The lowest two-dimensional cosines of an image, ``(count * count, H, W)``.

    They are orthogonal (the discrete cosine transform's), and scaled so that coefficients drawn
    from a standard normal distribution give pixels of unit variance. Where an image has fewer than
    ``count`` rows or columns, there are as many as it has.
    """
    height, width = input_shape[-2:]
    count = min(count, height, width)
    vertical, horizontal = _cosines(height, count), _cosines(width, count)
    basis = torch.einsum("ih,jw->ijhw", vertical, horizontal).flatten(0, 1)
    return basis * math.sqrt(height * width) / count


def frequency(basis: Tensor) -> Tensor:
    """The spatial frequency of each of the ``N`` low frequencies, ``(N,)``; 1 at least."""
    ordinal = torch.arange(math.isqrt(len(basis)), dtype=basis.dtype, device=basis.device)
    return torch.hypot(ordinal.unsqueeze(1), ordinal).flatten().clamp(min=1)


def rates(coefficients: Tensor, basis: Tensor) -> Tensor:
    """Images ``(..., C, H, W)`` in (0, 1), from coefficients ``(..., C, N)``; 0 is mid-grey."""
    return torch.einsum("...n,nhw->...hw", coefficients, basis).sigmoid()


def of_contrast(coefficients: Tensor, contrast: float) -> Tensor:
    """Coefficients ``(B, C, N)``, scaled to a root mean square of ``contrast`` each."""
    size = coefficients.square().mean((1, 2), keepdim=True).sqrt()
    return coefficients * contrast / size.clamp(min=1e-12)


def presented(
    images: Tensor, target: Target, time_steps: int, generator: torch.Generator
) -> Tensor:
    """Images as the target takes them: fresh Bernoulli spikes, or the images as they are."""
    if not target.spiking:
        return images
    return bernoulli(images.expand(time_steps, *images.shape), generator)


def answers(
    ask: Callable[[Tensor], Tensor],
    images: Tensor,
    target: Target,
    time_steps: int,
    generator: torch.Generator,
) -> Tensor:
    """``ask(...)`` about images ``(B, C, H, W)``, a piece at a time: a query each, ``(B, ...)``."""
    steps = time_steps if target.spiking else 1
    size = max(1, _BYTES // (4 * steps * images[0].numel()))
    pieces = images.split(size)
    return torch.cat([ask(presented(piece, target, time_steps, generator)) for piece in pieces])


class Round(NamedTuple):
    """One round of an attack that first asks about random images and then searches.

    Args:
        number: of the round, from 0.
        noise: the source of its randomness.
        probes: how many random images it asks about; 0 in the search.
        last_probes: whether the search comes next.
        progress: of the search, from 0 to 1.
    """

    number: int
    noise: torch.Generator
    probes: int
    last_probes: bool
    progress: float


def rounds(
    monitor: Monitor, seed: int, device: torch.device, *, probes: int, batch: int, iterations: int
) -> Iterator[Round]:
    """The rounds that remain: ``probes`` random images by batches, then the search."""
    sizes = [len(piece) for piece in torch.arange(probes).split(batch)]
    for number in monitor.remaining(len(sizes) + iterations):
        probing = number < len(sizes)
        yield Round(
            number,
            stream(seed, number, device=device),
            probes=sizes[number] if probing else 0,
            last_probes=number == len(sizes) - 1,
            progress=0.0 if probing else (number - len(sizes)) / iterations,
        )


def reconstruction(images: Tensor, target: Target, time_steps: int) -> Tensor:
    """Images as an attack returns them: for a spiking target, spike probabilities over time."""
    return images.repeat(time_steps, *[1] * images.ndim) if target.spiking else images


def _cosines(size: int, count: int) -> Tensor:
    """The first ``count`` rows of the orthonormal discrete cosine transform, ``(count, size)``."""
    places = (torch.arange(size) + 0.5) * math.pi / size
    waves = torch.outer(torch.arange(count), places).cos() * math.sqrt(2 / size)
    waves[0] /= math.sqrt(2)
    return waves
