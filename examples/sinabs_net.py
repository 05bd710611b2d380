"""A network of sinabs, trained and saved for ``brainleaks audit``."""

import sinabs
import sinabs.layers as sl
import torch
from sinabs import activation
from torch import Tensor, nn

STEPS, TAU, HIDDEN = 25, 10.0, 500


def lif() -> nn.Module:
    """A layer of neurons that fire once a step, and reset to zero."""
    return sl.LIF(
        tau_mem=TAU,
        norm_input=False,
        spike_fn=activation.SingleSpike,
        reset_fn=activation.MembraneReset(),
    )


def fc(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network, untrained; the audit calls this too. It takes (batch, time, ...)."""
    return nn.Sequential(
        nn.Flatten(2),
        nn.Linear(shape[0] * shape[1] * shape[2], HIDDEN),
        lif(),
        nn.Linear(HIDDEN, classes),
        sl.ExpLeak(tau_mem=TAU),
    )


def conv(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """As for Speck: integrating neurons that fire several times a step, batch and time in one."""
    channels, height, width = shape
    iaf = {"batch_size": 1, "min_v_mem": -1.0}
    return nn.Sequential(
        nn.Conv2d(channels, 12, 5, padding=2, bias=False),
        sl.IAFSqueeze(**iaf),
        nn.AvgPool2d(2),
        nn.Conv2d(12, 24, 5, padding=2, bias=False),
        sl.IAFSqueeze(**iaf),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * (height // 4) * (width // 4), classes, bias=False),
        sl.IAFSqueeze(**iaf),
    )


def rates(network: nn.Module, images: Tensor) -> Tensor:
    """Answers, averaged over time; pixels fire at random, as often as they are bright."""
    images = images.unsqueeze(1).expand(-1, STEPS, -1, -1, -1)
    spikes = (torch.rand_like(images) < images).float()
    sinabs.reset_states(network)
    if not isinstance(network[0], nn.Conv2d):
        return network(spikes).mean(1)
    sinabs.set_batch_size(network, len(images))
    return network(spikes.flatten(0, 1)).unflatten(0, (len(images), STEPS)).mean(1)


def save(network: nn.Module, images: Tensor, path: str) -> None:
    """Save the weights."""
    torch.save(network.state_dict(), path)


if __name__ == "__main__":
    from training import by_rates, main

    FORMS = {"fc": fc, "conv": conv}
    main(FORMS, *by_rates(rates), save, "net.pt")
