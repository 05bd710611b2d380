"""Within a prior: another attack, searching what a generator can make instead of pixels."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from brainleaks.attacks.inputs import reconstruction
from brainleaks.attacks.inversion.boundary import BoundaryRepulsion
from brainleaks.attacks.inversion.evolution import ScoreEvolution
from brainleaks.attacks.inversion.gamin import Gamin
from brainleaks.attacks.inversion.smooth_inversion import SmoothInversion
from brainleaks.errors import InputError
from brainleaks.monitor import Monitor
from brainleaks.randomness import draw_seed, stream
from brainleaks.target import Access, Target
from brainleaks.training.prior import Prior

#: Attacks that search images, which a prior's places can stand for, and not from black, its corner.
Searching = Annotated[
    SmoothInversion | ScoreEvolution | BoundaryRepulsion | Gamin, Field(discriminator="attack")
]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class WithinPrior:
    """Reconstruct images by running another attack in the latent space of a generative prior.

    The attack sees the composition of generator and target as one ordinary network, whose input is
    a point of the latent space with the shape ``(latent, 1, 1)``. A spiking target gets the
    generated image through a deterministic rate code: each pixel compares its intensity with the
    levels ``(t + 0.5) / T``, in an order of its own, and passes gradients as if it were linear
    (straight-through; Bengio et al. 2013).

    The similarity of a reconstruction is limited by what the prior can generate.

    Args:
        search: the attack, with its settings; ``time_steps`` is the length ``T`` of the code.
            Settings of spatial smoothness, of random draws and of time have no effect.

    Reference: Y. Zhang et al., "The secret revealer: generative model-inversion attacks against
    deep neural networks" (arXiv 1911.07135), of which this keeps the idea, not the objective.

    Example:
        >>> from brainleaks.networks import MLP
        >>> network = MLP((1, 8, 8), 10, hidden=50)
        >>> target = Target(network, input_shape=(1, 8, 8), classes=10, access="scores")
        >>> prior = Prior((1, 8, 8), latent=5, hidden=20)
        >>> attack = WithinPrior(ScoreEvolution(probes=100, iterations=5))
        >>> images = attack(target, torch.arange(10), prior=prior)
        >>> tuple(images.shape), target.queries
        ((10, 1, 8, 8), 300)
    """

    spiking: ClassVar[bool | None] = None
    random: ClassVar[bool] = True
    kind: ClassVar[str] = "class-reconstruction"
    version: ClassVar[int] = 1

    search: Searching
    attack: Literal["within-prior"] = "within-prior"

    @property
    def access(self) -> Access:
        """What the search needs."""
        return self.search.access

    def __call__(
        self,
        target: Target,
        labels: Tensor,
        *,
        prior: Prior,
        generator: torch.Generator | None = None,
        monitor: Monitor | None = None,
    ) -> Tensor:
        """Images for the classes ``labels``, ``(len(labels), C, H, W)`` in [0, 1].

        For a spiking target, spike probabilities ``(T, len(labels), C, H, W)`` that are the same at
        every time step.

        Raises:
            AccessError: if the target does not grant what the search needs.
            InputError: if the prior's images are not of the target's shape.
        """
        target.require(self.access, self.attack, spiking=self.spiking)
        if prior.input_shape != target.input_shape:
            raise InputError(
                f"the prior generates images of shape {prior.input_shape}; the target takes "
                f"{target.input_shape}."
            )
        made: list[nn.Module] = [prior]
        steps = self.search.time_steps if target.spiking else 1
        if target.spiking:
            made.append(_EvenCode(target, steps, draw_seed(generator)))
        view = target.behind(nn.Sequential(*made), steps, prior.places)
        places = self.search(view, labels, generator=generator, monitor=monitor)
        with torch.no_grad():
            return reconstruction(prior(places), target, steps)


class _EvenCode(nn.Module):
    """Images ``(B, C, H, W)`` to spikes ``(T, B, C, H, W)``: the same for the same images."""

    levels: Tensor

    def __init__(self, target: Target, steps: int, seed: int) -> None:
        super().__init__()
        chance = torch.rand(steps, 1, *target.input_shape, generator=stream(seed, "levels"))
        levels = (chance.argsort(0) + 0.5) / steps
        self.register_buffer("levels", levels.to(target.device))

    def forward(self, images: Tensor) -> Tensor:
        spikes = (images.unsqueeze(0) > self.levels).to(images.dtype)
        return spikes + (images - images.detach())
