"""What the change of the first layer's weights says of each sample."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from brainleaks.attacks.membership.knowledge import Candidates
from brainleaks.data.parts import images
from brainleaks.errors import InputError
from brainleaks.networks import Response
from brainleaks.target import Target
from brainleaks.training import summed_cross_entropy


def change(target: Target, attack: str) -> Tensor:
    """What training added to the first layer's weights, ``(H, D)`` float64 on the CPU.

    Raises:
        AccessError: if the target does not grant its initial weights, or nobody knows them.
        InputError: if its first layer is not fully connected to the inputs, or did not change.
    """
    found = target.learned_weights()
    if found is None:
        raise InputError(
            f"{attack} needs a first layer that is fully connected to the inputs; this target's "
            "is not."
        )
    if not found.any():
        raise InputError(f"{attack}: training did not change the first layer's weights.")
    return found.flatten(1).double().cpu()


def leverage(change: Tensor, inputs: Tensor, ridge: float) -> Tensor:
    """How well the rows of a change of weights span each input, at most 0, ``(N,)``.

    It is ``-x (G + ridge I)^-1 x``, where ``G`` is the Gram matrix of the rows with a mean diagonal
    of 1, as of ridge regression (Hoerl and Kennard 1970); computed by the eigenvectors of the
    smaller of the two Gram matrices.

    Args:
        change: ``(H, D)``.
        inputs: ``(N, D)``.
        ridge: above 0.
    """
    units, size = change.shape
    if units <= size:
        energies, vectors = torch.linalg.eigh(change @ change.T)
        along = ((inputs @ change.T) @ vectors) ** 2
    else:
        energies, vectors = torch.linalg.eigh(change.T @ change)
        along = (inputs @ vectors) ** 2 * energies
    scale = size / energies.sum()
    explained = along @ (scale / (energies * scale + ridge))
    found: Tensor = (explained - (inputs**2).sum(1)) / ridge
    return found


@dataclass(frozen=True)
class Explanation:
    """Ridge regression of a change of weights on the candidates' inputs.

    Args:
        inputs: ``(N, D)``, float64.
        factor: Cholesky factor of their Gram matrix plus the ridge.
    """

    inputs: Tensor
    factor: Tensor

    @classmethod
    def by(cls, candidates: Candidates, ridge: float) -> "Explanation":
        """Prepare a regression on the candidates, recordings as their firing rates.

        The penalty is ``ridge`` times the mean squared norm of the inputs.
        """
        inputs = images(candidates.samples).flatten(1).double().cpu()
        gram = inputs @ inputs.T
        penalty = ridge * gram.diagonal().mean().clamp_min(1e-30)
        return cls(inputs, torch.linalg.cholesky(gram + penalty * torch.eye(len(gram)).double()))

    def credit(
        self, target: Target, candidates: Candidates, attack: str, generator: torch.Generator | None
    ) -> Tensor:
        """How far each candidate explains the change of weights as training on it would, ``(N,)``.

        The regression gives the part ``(H,)`` of the change that is due to each input. Training on
        the sample moves weights against the gradient of its loss; the part is projected on that
        direction, taken where the weights are halfway between their first and their last values.

        Raises:
            AccessError: if the target does not grant its initial weights.
            InputError: as :func:`change`, or if the gradient is not available.
        """
        due = torch.cholesky_solve(self.inputs @ change(target, attack).T, self.factor)
        push = _push(target.halfway(), candidates, generator)
        if push.shape != due.shape:
            raise InputError(f"{attack}: gradients do not reach the target's first layer.")
        found: Tensor = (due * push).sum(1) / push.norm(dim=1).clamp_min(1e-30)
        return found


def _push(target: Target, candidates: Candidates, generator: torch.Generator | None) -> Tensor:
    """Where the loss of each candidate moves the first layer's output, ``(N, H)``."""
    once, parts = replace(candidates, draws=1), list[Tensor]()
    for batch, inputs in once.batches(generator, target.device):
        labels = candidates.labels[batch].to(target.device)
        parts.append(-target.entry_gradient(inputs, labels, _loss).flatten(1).double().cpu())
    return torch.cat(parts)


def _loss(response: Response, labels: Tensor) -> Tensor:
    return summed_cross_entropy(response, labels)
