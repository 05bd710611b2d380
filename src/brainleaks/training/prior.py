"""A small generative prior: what images of a kind look like, learned from other classes."""

import math
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.randomness import draw_seed, stream
from brainleaks.training import Recipe, restore, state_of

_TINY = 1e-8


class Prior(nn.Module):
    """A variational auto-encoder of images, two layers each way.

    Its latent values are normal; those who search them see *places* in (0, 1) with ``z =
    logit(place)``, so that whatever searches images can search it.

    Args:
        input_shape: ``(C, H, W)`` of an image.
        latent: how many latent values.
        hidden: units of either hidden layer.

    Reference: D. Kingma and M. Welling, "Auto-Encoding Variational Bayes" (arXiv 1312.6114).

    Example:
        >>> prior = Prior((1, 8, 8), latent=5, hidden=20)
        >>> tuple(prior(torch.full((3, *prior.places), 0.5)).shape)
        (3, 1, 8, 8)
    """

    def __init__(self, input_shape: tuple[int, ...], *, latent: int, hidden: int) -> None:
        super().__init__()
        self.input_shape, size = tuple(input_shape), prod(input_shape)
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, size), nn.Sigmoid()
        )
        #: The shape of what stands for one image.
        self.places = (latent, 1, 1)

    def forward(self, places: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` in (0, 1), at places ``(B, latent, 1, 1)`` in [0, 1]."""
        return self.decode(torch.logit(places.flatten(1), eps=1e-6))

    def decode(self, latent: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` of latent values ``(B, latent)``."""
        images: Tensor = self.decoder(latent).unflatten(1, self.input_shape)
        return images

    def loss(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Minus the evidence bound, in nats an image, up to a constant.

        The noise of the pixels is a normal distribution's of the width that fits best, which
        weighs likeness against the divergence by itself (Rybkin, Daniilidis and Levine 2021).
        """
        mean, log_variance = self.encoder(images).chunk(2, 1)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        made = self.decode(mean + (log_variance / 2).exp() * noise)
        unlike = prod(self.input_shape) / 2 * (functional.mse_loss(made, images) + _TINY).log()
        divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        bound: Tensor = unlike + divergence
        return bound


def fit_prior(
    prior: Prior,
    images: Tensor,
    recipe: Recipe,
    *,
    generator: torch.Generator,
    monitor: Monitor | None = None,
) -> None:
    """Train a prior in place on images ``(N, C, H, W)`` in [0, 1], with Adam.

    Order and noise are drawn again each epoch, from streams of the generator's next seed: an
    interrupted training goes on with the numbers that it would have had.

    Raises:
        InputError: if the loss is no longer finite.
    """
    monitor, seed = monitor or Monitor(), draw_seed(generator)
    device = next(prior.parameters()).device
    optimiser = torch.optim.Adam(prior.parameters(), recipe.learning_rate)
    restore(prior, optimiser, monitor.resume(state_of(prior, optimiser)))
    for epoch in monitor.remaining(recipe.epochs):
        order = torch.randperm(len(images), generator=stream(seed, "order", epoch))
        noise = stream(seed, "latent", epoch, device=device)
        total = 0.0
        for batch in order.split(recipe.batch_size):
            loss = prior.loss(images[batch].to(device), noise)
            optimiser.zero_grad()
            loss.backward()
            if recipe.gradient_clip is not None:
                nn.utils.clip_grad_norm_(prior.parameters(), recipe.gradient_clip)
            optimiser.step()
            total += float(loss.detach()) * len(batch)
        if not math.isfinite(total):
            raise InputError(
                f"training the prior diverged after epoch {epoch + 1}; lower its learning_rate."
            )
        monitor.advance(epoch, state_of(prior, optimiser), loss=total / len(images))
