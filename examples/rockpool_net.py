"""A network of Rockpool, trained and saved for ``brainleaks audit``."""

import torch
from rockpool.nn.combinators import Residual, Sequential
from rockpool.nn.modules import ExpSynTorch, LIFTorch, LinearTorch
from rockpool.parameters import Constant
from torch import Tensor, nn

STEPS, DT, TAU, HIDDEN = 25, 1e-3, 10e-3, 500


def lif(**settings: bool) -> nn.Module:
    """A layer of neurons."""
    fixed = {"tau_mem": Constant(TAU), "tau_syn": Constant(TAU), "threshold": Constant(1.0)}
    return LIFTorch(HIDDEN, **fixed, bias=Constant(0.0), dt=DT, **settings)


def fc(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network, untrained; the audit calls this too. It takes (batch, time, inputs)."""
    return Sequential(
        LinearTorch((shape[0] * shape[1] * shape[2], HIDDEN)),
        lif(),
        LinearTorch((HIDDEN, classes)),
        ExpSynTorch(classes, tau=Constant(TAU), dt=DT),
    )


def residual(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Two layers of neurons, the second behind a shortcut."""
    return Sequential(
        LinearTorch((shape[0] * shape[1] * shape[2], HIDDEN)),
        lif(),
        Residual(LinearTorch((HIDDEN, HIDDEN)), lif()),
        LinearTorch((HIDDEN, classes)),
        ExpSynTorch(classes, tau=Constant(TAU), dt=DT),
    )


def recurrent(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A hidden layer whose spikes come back to it one step later."""
    return Sequential(
        LinearTorch((shape[0] * shape[1] * shape[2], HIDDEN)),
        lif(has_rec=True),
        LinearTorch((HIDDEN, classes)),
        ExpSynTorch(classes, tau=Constant(TAU), dt=DT),
    )


def rates(network: nn.Module, images: Tensor) -> Tensor:
    """Currents of the output layer, averaged over time, from a fresh state."""
    pixels = images.flatten(1).unsqueeze(1).expand(-1, STEPS, -1)
    network.reset_state()
    answer, _, _ = network((torch.rand_like(pixels) < pixels).float())
    return answer.mean(1)


def save(network: nn.Module, images: Tensor, path: str) -> None:
    """Save the weights."""
    torch.save(network.state_dict(), path)


if __name__ == "__main__":
    from training import by_rates, main

    FORMS = {"fc": fc, "residual": residual, "recurrent": recurrent}
    main(FORMS, *by_rates(rates), save, "net.pt")
