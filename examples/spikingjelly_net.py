"""A network of SpikingJelly, trained and saved for ``brainleaks audit``."""

import argparse

import torch
from spikingjelly.activation_based import encoding, functional, layer, neuron, surrogate
from torch import Tensor, nn

from brainleaks.data.own import OwnData, load_own

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


def main() -> None:
    """Train on the images of a folder or an ``.npz``, and save the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="train/CLASS/*.png and test/CLASS/*.png, or an .npz")
    parser.add_argument("--architecture", choices=["fc", "conv"], default="fc")
    parser.add_argument("--out", default="net.pt")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    given = parser.parse_args()

    torch.manual_seed(0)
    data = load_own(OwnData(given.data))
    build = {"fc": fc, "conv": conv}[given.architecture]
    network = build(data.input_shape, len(data.class_names))
    encoder = encoding.PoissonEncoder(step_mode="m")
    optimizer = torch.optim.Adam(network.parameters(), lr=given.lr)
    for epoch in range(given.epochs):
        network.train()
        for batch in torch.randperm(len(data.train.labels)).split(given.batch):
            spikes = encoder(data.train.inputs[batch].expand(STEPS, -1, -1, -1, -1))
            loss = nn.functional.cross_entropy(network(spikes), data.train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            functional.reset_net(network)
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

    network.eval()
    with torch.no_grad():
        rates = network(encoder(data.test.inputs.expand(STEPS, -1, -1, -1, -1)))
    functional.reset_net(network)
    print(f"test accuracy {(rates.argmax(1) == data.test.labels).float().mean():.3f}")
    torch.save(network.state_dict(), given.out)


if __name__ == "__main__":
    main()
