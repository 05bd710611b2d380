"""A network of snnTorch, trained and saved for ``brainleaks audit``."""

import snntorch as snn
import torch
from safetensors.torch import save_file
from snntorch import spikegen, surrogate, utils
from torch import Tensor, nn

STEPS, BETA, HIDDEN = 25, 0.9, 500


class FullyConnected(nn.Module):
    """State in variables, and the loop over time in the forward pass, as in tutorial 5."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        spike_grad = surrogate.fast_sigmoid(slope=25)
        self.fc1 = nn.Linear(inputs, HIDDEN)
        self.lif1 = snn.Leaky(beta=BETA, spike_grad=spike_grad)
        self.fc2 = nn.Linear(HIDDEN, classes)
        self.lif2 = snn.Leaky(beta=BETA, spike_grad=spike_grad)

    def forward(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spk_rec, mem_rec = [], []
        for step in spikes:
            spk1, mem1 = self.lif1(self.fc1(step.flatten(1)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk_rec.append(spk2)
            mem_rec.append(mem2)
        return torch.stack(spk_rec), torch.stack(mem_rec)


def fc(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network, untrained; the audit calls this too."""
    return FullyConnected(shape[0] * shape[1] * shape[2], classes)


def conv(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Hidden state in the neurons, one step a call, as in tutorial 6."""
    channels, height, width = shape
    leaky = {"beta": BETA, "spike_grad": surrogate.fast_sigmoid(slope=25), "init_hidden": True}
    return nn.Sequential(
        nn.Conv2d(channels, 12, 5, padding=2),
        nn.MaxPool2d(2),
        snn.Leaky(**leaky),
        nn.Conv2d(12, 24, 5, padding=2),
        nn.MaxPool2d(2),
        snn.Leaky(**leaky),
        nn.Flatten(),
        nn.Linear(24 * (height // 4) * (width // 4), classes),
        snn.Leaky(**leaky, output=True),
    )


class Residual(nn.Module):
    """Two convolutions around a shortcut, which adds to the membrane; one step a call."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        leaky = {"beta": BETA, "spike_grad": surrogate.fast_sigmoid(slope=25), "init_hidden": True}
        self.entry, self.lif1 = nn.Conv2d(channels, 12, 5, stride=2, padding=2), snn.Leaky(**leaky)
        self.conv1, self.lif2 = nn.Conv2d(12, 12, 3, padding=1), snn.Leaky(**leaky)
        self.conv2, self.lif3 = nn.Conv2d(12, 12, 3, padding=1), snn.Leaky(**leaky)
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.fc, self.lif4 = nn.Linear(12 * 49, classes), snn.Leaky(**leaky, output=True)

    def forward(self, step: Tensor) -> tuple[Tensor, Tensor]:
        spikes = self.lif1(self.entry(step))
        spikes = self.lif3(self.conv2(self.lif2(self.conv1(spikes))) + spikes)
        return self.lif4(self.fc(self.pool(spikes).flatten(1)))


def residual(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A residual block."""
    return Residual(shape[0], classes)


def recurrent(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A hidden layer whose spikes come back to it one step later."""
    leaky = {"beta": BETA, "spike_grad": surrogate.fast_sigmoid(slope=25), "init_hidden": True}
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(shape[0] * shape[1] * shape[2], HIDDEN),
        snn.RLeaky(**leaky, linear_features=HIDDEN),
        nn.Linear(HIDDEN, classes),
        snn.Leaky(**leaky, output=True),
    )


def answer(network: nn.Module, spikes: Tensor) -> tuple[Tensor, Tensor]:
    """Output spikes and membrane, ``(T, B, classes)``."""
    if isinstance(network, FullyConnected):
        return network(spikes)
    utils.reset(network)
    steps = [network(step) for step in spikes]
    return torch.stack([spk for spk, _ in steps]), torch.stack([mem for _, mem in steps])


def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the membranes, averaged over time steps."""
    _, mem_rec = answer(network, spikegen.rate(images, num_steps=STEPS))
    criterion = nn.CrossEntropyLoss()
    return sum(criterion(mem, labels) for mem in mem_rec) / STEPS


def predict(network: nn.Module, images: Tensor) -> Tensor:
    """The class whose output neuron fires most."""
    spk_rec, _ = answer(network, spikegen.rate(images, num_steps=STEPS))
    return spk_rec.sum(0).argmax(1)


def save(network: nn.Module, images: Tensor, path: str) -> None:
    """Save the weights."""
    save_file(network.state_dict(), path)


if __name__ == "__main__":
    from training import main

    FORMS = {"fc": fc, "conv": conv, "residual": residual, "recurrent": recurrent}

    main(FORMS, loss, predict, save, "net.safetensors")
