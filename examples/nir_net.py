"""A network of snnTorch, trained and written as a NIR graph for ``brainleaks audit``."""

import argparse

import nir
import snntorch as snn
import torch
from snntorch import spikegen, surrogate, utils
from snntorch.export_nir import export_to_nir
from torch import Tensor, nn

from brainleaks.data.own import OwnData, load_own

STEPS, BETA, HIDDEN = 25, 0.9, 500


def lif(*shape: int) -> nn.Module:
    """A layer of neurons as NIR describes them: the export wants a leak and a threshold of each."""
    return snn.Leaky(
        beta=torch.full(shape, BETA),
        threshold=torch.ones(shape),
        spike_grad=surrogate.fast_sigmoid(slope=25),
        reset_mechanism="zero",
        init_hidden=True,
    )


def fc(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Fully connected."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(shape[0] * shape[1] * shape[2], HIDDEN),
        lif(HIDDEN),
        nn.Linear(HIDDEN, classes),
        lif(classes),
    )


def conv(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Convolutions, and pooling by the mean: NIR has no other."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 12, 5, padding=2),
        nn.AvgPool2d(2),
        lif(12, height // 2, width // 2),
        nn.Conv2d(12, 24, 5, padding=2),
        nn.AvgPool2d(2),
        lif(24, height // 4, width // 4),
        nn.Flatten(),
        nn.Linear(24 * (height // 4) * (width // 4), classes),
        lif(classes),
    )


def answer(network: nn.Module, spikes: Tensor) -> Tensor:
    """How often each output neuron fires, ``(B, classes)``."""
    utils.reset(network)
    return sum(network(step) for step in spikes)


def main() -> None:
    """Train on the images of a folder or an ``.npz``, and write the graph."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="train/CLASS/*.png and test/CLASS/*.png, or an .npz")
    parser.add_argument("--architecture", choices=["fc", "conv"], default="fc")
    parser.add_argument("--out", default="net.nir")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    given = parser.parse_args()

    torch.manual_seed(0)
    data = load_own(OwnData(given.data))
    build = {"fc": fc, "conv": conv}[given.architecture]
    network = build(data.input_shape, len(data.class_names))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for epoch in range(given.epochs):
        for batch in torch.randperm(len(data.train.labels)).split(given.batch):
            counts = answer(network, spikegen.rate(data.train.inputs[batch], num_steps=STEPS))
            loss = nn.functional.cross_entropy(counts, data.train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

    network.eval()
    with torch.no_grad():
        counts = answer(network, spikegen.rate(data.test.inputs, num_steps=STEPS))
    print(f"test accuracy {(counts.argmax(1) == data.test.labels).float().mean():.3f}")
    utils.reset(network)
    nir.write(given.out, export_to_nir(network, data.test.inputs[:1], ignore_dims=[0]))


if __name__ == "__main__":
    main()
