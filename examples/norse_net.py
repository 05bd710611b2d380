"""A network of Norse, trained and saved for ``brainleaks audit``."""

import argparse

import norse.torch as norse
import torch
from torch import Tensor, nn

from brainleaks.data.own import OwnData, load_own

STEPS, HIDDEN = 25, 500


class Voltages(nn.Module):
    """The loop over time; the voltages of leaky integrators are the answer."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = norse.SequentialState(*layers)

    def forward(self, spikes: Tensor) -> Tensor:
        state, voltages = None, []
        for step in spikes:
            voltage, state = self.layers(step, state)
            voltages.append(voltage)
        return torch.stack(voltages)


def lif() -> nn.Module:
    """A layer of neurons."""
    return norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(0.5), alpha=100))


def fc(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network, untrained; the audit calls this too."""
    return Voltages(
        nn.Flatten(),
        nn.Linear(shape[0] * shape[1] * shape[2], HIDDEN),
        lif(),
        nn.Linear(HIDDEN, classes),
        norse.LICell(),
    )


def conv(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Convolutions, as in Norse's tutorial on MNIST."""
    channels, height, width = shape
    return Voltages(
        nn.Conv2d(channels, 12, 5, padding=2),
        lif(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 5, padding=2),
        lif(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * (height // 4) * (width // 4), classes),
        norse.LICell(),
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
    # 1 kHz and steps of 1 ms: a white pixel fires at every step
    encoder = norse.PoissonEncoder(STEPS, f_max=1000)
    optimizer = torch.optim.Adam(network.parameters(), lr=given.lr)
    for epoch in range(given.epochs):
        for batch in torch.randperm(len(data.train.labels)).split(given.batch):
            voltages = network(encoder(data.train.inputs[batch]))
            loss = nn.functional.cross_entropy(voltages.mean(0), data.train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

    network.eval()
    with torch.no_grad():
        voltages = network(encoder(data.test.inputs))
    right = (voltages.mean(0).argmax(1) == data.test.labels).float().mean()
    print(f"test accuracy {right:.3f}")
    torch.save(network.state_dict(), given.out)


if __name__ == "__main__":
    main()
