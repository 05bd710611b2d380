"""A network of SpikingJelly, trained and saved for ``brainleaks audit``."""

import torch
from spikingjelly.activation_based import encoding, functional, layer, neuron, surrogate
from torch import Tensor, nn

STEPS, TAU, HIDDEN = 25, 2.0, 500


class FiringRates(nn.Module):
    """All time steps at once; the rate at which the last neurons fire is the answer."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        functional.set_step_mode(self, "m")

    def forward(self, spikes: Tensor) -> Tensor:
        return self.layers(spikes).mean(0)


def lif() -> nn.Module:
    """A layer of neurons."""
    return neuron.LIFNode(tau=TAU, surrogate_function=surrogate.ATan(), detach_reset=True)


def fc(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network, untrained; the audit calls this too."""
    return FiringRates(
        layer.Flatten(),
        layer.Linear(shape[0] * shape[1] * shape[2], HIDDEN, bias=False),
        lif(),
        layer.Linear(HIDDEN, classes, bias=False),
        lif(),
    )


def conv(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Convolutions with batch norm, as in the examples of SpikingJelly."""
    channels, height, width = shape
    return FiringRates(
        layer.Conv2d(channels, 12, 5, padding=2, bias=False),
        layer.BatchNorm2d(12),
        lif(),
        layer.MaxPool2d(2),
        layer.Conv2d(12, 24, 5, padding=2, bias=False),
        layer.BatchNorm2d(24),
        lif(),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(24 * (height // 4) * (width // 4), classes, bias=False),
        lif(),
    )


class SpikeElementWise(nn.Module):
    """Two convolutions around a shortcut, added spike by spike (Fang et al. 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            layer.Conv2d(channels, channels, 3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            lif(),
            layer.Conv2d(channels, channels, 3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            lif(),
        )

    def forward(self, spikes: Tensor) -> Tensor:
        return spikes + self.convs(spikes)


def residual(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A residual block."""
    return FiringRates(
        layer.Conv2d(shape[0], 12, 5, stride=2, padding=2, bias=False),
        layer.BatchNorm2d(12),
        lif(),
        SpikeElementWise(12),
        layer.AdaptiveAvgPool2d(7),
        layer.Flatten(),
        layer.Linear(12 * 49, classes, bias=False),
        lif(),
    )


def recurrent(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A hidden layer whose spikes come back to it one step later."""
    return FiringRates(
        layer.Flatten(),
        layer.Linear(shape[0] * shape[1] * shape[2], HIDDEN, bias=False),
        layer.LinearRecurrentContainer(lif(), in_features=HIDDEN, out_features=HIDDEN),
        layer.Linear(HIDDEN, classes, bias=False),
        lif(),
    )


def rates(network: nn.Module, images: Tensor) -> Tensor:
    """Firing rates of the output neurons, from a fresh state."""
    functional.reset_net(network)
    encoder = encoding.PoissonEncoder(step_mode="m")
    return network(encoder(images.expand(STEPS, -1, -1, -1, -1)))


def save(network: nn.Module, images: Tensor, path: str) -> None:
    """Save the weights, without the neurons' state."""
    functional.reset_net(network)
    torch.save(network.state_dict(), path)


if __name__ == "__main__":
    from training import by_rates, main

    FORMS = {"fc": fc, "conv": conv, "residual": residual, "recurrent": recurrent}

    main(FORMS, *by_rates(rates), save, "net.pt")
