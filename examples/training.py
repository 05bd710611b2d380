"""The training loop that the examples share."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from brainleaks.data.own import OwnData, load_own

Rates = Callable[[nn.Module, Tensor], Tensor]


def by_rates(rates: Rates) -> tuple[Callable[[nn.Module, Tensor, Tensor], Tensor], Rates]:
    """The cross-entropy of answers averaged over time, and the class of the highest.

    Args:
        rates: the averages ``(B, classes)`` of a network for images ``(B, C, H, W)``.
    """

    def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(rates(network, images), labels)

    def predict(network: nn.Module, images: Tensor) -> Tensor:
        return rates(network, images).argmax(1)

    return loss, predict


def main(
    architectures: dict[str, Callable[[tuple[int, int, int], int], nn.Module]],
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor],
    predict: Callable[[nn.Module, Tensor], Tensor],
    save: Callable[[nn.Module, Tensor, str], object],
    out: str,
) -> None:
    """Train on the images of a folder or an ``.npz``, and save the network.

    Args:
        architectures: functions that build a network for a shape ``(C, H, W)`` and so many classes.
        loss: of a network on images ``(B, C, H, W)`` and their labels.
        predict: the labels that a network predicts for images.
        save: is given the network, test images and the file to write.
        out: the default file.
    """
    parser = argparse.ArgumentParser(description="Train a network and save it.")
    parser.add_argument("data", help="train/CLASS/*.png and test/CLASS/*.png, or an .npz")
    parser.add_argument("--architecture", choices=architectures, default="fc")
    parser.add_argument("--out", default=out)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    given = parser.parse_args()

    torch.manual_seed(0)
    data = load_own(OwnData(Path(given.data).as_posix()))
    network = architectures[given.architecture](data.input_shape, len(data.class_names))
    optimizer = torch.optim.Adam([weight for _, weight in network.named_parameters()], lr=given.lr)
    for epoch in range(given.epochs):
        network.train()
        for batch in torch.randperm(len(data.train.labels)).split(given.batch):
            value = loss(network, data.train.inputs[batch], data.train.labels[batch])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {value.item():.3f}")

    network.eval()
    with torch.no_grad():
        right = predict(network, data.test.inputs) == data.test.labels
    print(f"test accuracy {right.float().mean():.3f}")
    save(network, data.test.inputs, given.out)
