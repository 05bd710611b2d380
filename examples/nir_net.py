"""A network of SpikingJelly, trained and written as a NIR graph for ``brainleaks audit``."""

import argparse

import torch
from spikingjelly.activation_based import (
    encoding,
    functional,
    layer,
    neuron,
    nir_exchange,
    surrogate,
)
from torch import nn

from brainleaks.data.own import OwnData, load_own

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


def main() -> None:
    """Train on the images of a folder or an ``.npz``, and write the graph."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="train/CLASS/*.png and test/CLASS/*.png, or an .npz")
    parser.add_argument("--architecture", choices=["fc", "conv"], default="fc")
    parser.add_argument("--out", default="net.nir")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    given = parser.parse_args()

    torch.manual_seed(0)
    data = load_own(OwnData(given.data))
    build = {"fc": fc, "conv": conv}[given.architecture]
    network = build(data.input_shape, len(data.class_names))
    functional.set_step_mode(network, "m")
    encoder = encoding.PoissonEncoder(step_mode="m")
    optimizer = torch.optim.Adam(network.parameters(), lr=given.lr)
    for epoch in range(given.epochs):
        for batch in torch.randperm(len(data.train.labels)).split(given.batch):
            spikes = encoder(data.train.inputs[batch].expand(STEPS, -1, -1, -1, -1))
            rates = network(spikes).mean(0)
            loss = nn.functional.cross_entropy(rates, data.train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            functional.reset_net(network)
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

    spikes = encoder(data.test.inputs.expand(STEPS, -1, -1, -1, -1))
    with torch.no_grad():
        rates = network(spikes).mean(0)
    functional.reset_net(network)
    print(f"test accuracy {(rates.argmax(1) == data.test.labels).float().mean():.3f}")
    nir_exchange.export_to_nir(network, spikes[:, :1], save_path=given.out, dt=1e-4)


if __name__ == "__main__":
    main()
