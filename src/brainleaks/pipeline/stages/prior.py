"""Stage: a generative prior of images."""

import torch
from torch import Tensor

from brainleaks.monitor import Monitor
from brainleaks.randomness import stream
from brainleaks.training import Recipe
from brainleaks.training.prior import Prior, fit_prior


def new_prior(input_shape: tuple[int, ...], *, latent: int, hidden: int, seed: int) -> Prior:
    """The prior before training; its first weights are a function of the seed."""
    first = stream(seed, "prior", "initial weights").initial_seed()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(first)
        return Prior(input_shape, latent=latent, hidden=hidden)


def train_prior(
    prior: Prior, images: Tensor, recipe: Recipe, *, seed: int, monitor: Monitor
) -> None:
    """Train a new prior in place."""
    fit_prior(prior, images, recipe, generator=stream(seed, "prior", "training"), monitor=monitor)
