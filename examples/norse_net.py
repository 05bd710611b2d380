"""A network of Norse, trained and saved for ``brainleaks audit``."""

import norse.torch as norse
import torch
from torch import Tensor, nn

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


class Residual(nn.Module):
    """Two convolutions around a shortcut, which adds to the current; the loop over time."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.entry, self.lif1 = nn.Conv2d(channels, 12, 5, stride=2, padding=2), lif()
        self.conv1, self.lif2 = nn.Conv2d(12, 12, 3, padding=1), lif()
        self.conv2, self.lif3 = nn.Conv2d(12, 12, 3, padding=1), lif()
        self.pool, self.fc, self.out = (
            nn.AdaptiveAvgPool2d(7),
            nn.Linear(12 * 49, classes),
            norse.LICell(),
        )

    def forward(self, spikes: Tensor) -> Tensor:
        s1 = s2 = s3 = s4 = None
        voltages = []
        for step in spikes:
            first, s1 = self.lif1(self.entry(step), s1)
            second, s2 = self.lif2(self.conv1(first), s2)
            third, s3 = self.lif3(self.conv2(second) + first, s3)
            voltage, s4 = self.out(self.fc(self.pool(third).flatten(1)), s4)
            voltages.append(voltage)
        return torch.stack(voltages)


def residual(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A residual block."""
    return Residual(shape[0], classes)


def recurrent(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A hidden layer whose spikes come back to it one step later."""
    neurons = norse.LIFParameters(v_th=torch.tensor(0.5), alpha=100)
    return Voltages(
        nn.Flatten(),
        nn.Linear(shape[0] * shape[1] * shape[2], HIDDEN),
        norse.LIFRecurrentCell(HIDDEN, HIDDEN, p=neurons),
        nn.Linear(HIDDEN, classes),
        norse.LICell(),
    )


def rates(network: nn.Module, images: Tensor) -> Tensor:
    """Output voltages, averaged over time; at 1 kHz and steps of 1 ms, white always fires."""
    return network(norse.PoissonEncoder(STEPS, f_max=1000)(images)).mean(0)


def save(network: nn.Module, images: Tensor, path: str) -> None:
    """Save the weights."""
    torch.save(network.state_dict(), path)


if __name__ == "__main__":
    from training import by_rates, main

    FORMS = {"fc": fc, "conv": conv, "residual": residual, "recurrent": recurrent}

    main(FORMS, *by_rates(rates), save, "net.pt")
