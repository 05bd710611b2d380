"""A network of SpikingJelly, trained and written as a NIR graph for ``brainleaks audit``."""

from spikingjelly.activation_based import (
    encoding,
    functional,
    layer,
    neuron,
    nir_exchange,
    surrogate,
)
from torch import Tensor, nn

STEPS, HIDDEN = 25, 500


def lif() -> nn.Module:
    """A layer of neurons, which reset to zero."""
    return neuron.LIFNode(
        tau=2.0, v_threshold=0.4, surrogate_function=surrogate.ATan(), detach_reset=True
    )


def fc(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Fully connected."""
    return nn.Sequential(
        layer.Flatten(),
        layer.Linear(shape[0] * shape[1] * shape[2], HIDDEN),
        lif(),
        layer.Linear(HIDDEN, classes),
        lif(),
    )


def conv(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Convolutions, and pooling by the mean: NIR has neither that by the maximum nor batch norm."""
    channels, height, width = shape
    return nn.Sequential(
        layer.Conv2d(channels, 12, 5, padding=2),
        layer.AvgPool2d(2),
        lif(),
        layer.Conv2d(12, 24, 5, padding=2),
        layer.AvgPool2d(2),
        lif(),
        layer.Flatten(),
        layer.Linear(24 * (height // 4) * (width // 4), classes),
        lif(),
    )


def rates(network: nn.Module, images: Tensor) -> Tensor:
    """Firing rates of the output neurons, from a fresh state."""
    functional.set_step_mode(network, "m")
    functional.reset_net(network)
    encoder = encoding.PoissonEncoder(step_mode="m")
    return network(encoder(images.expand(STEPS, -1, -1, -1, -1))).mean(0)


def save(network: nn.Module, images: Tensor, path: str) -> None:
    """Write the graph."""
    functional.reset_net(network)
    spikes = images[:1].expand(STEPS, -1, -1, -1, -1)
    nir_exchange.export_to_nir(network, spikes, save_path=path, dt=1e-4)


if __name__ == "__main__":
    from training import by_rates, main

    FORMS = {"fc": fc, "conv": conv}

    main(FORMS, *by_rates(rates), save, "net.nir")
