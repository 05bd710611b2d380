"""The panel: judges of different kinds, because one classifier is not evidence.

A pattern that convinces one classifier and resembles nothing seldom convinces classifiers that work
differently (Ho et al. 2025, "Uncovering the limitations of model inversion evaluation").
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.encoding import RateCode, as_images, bernoulli
from brainleaks.data.parts import images, select
from brainleaks.evaluation.judge import confidences, scale_each
from brainleaks.evaluation.likeness import (
    Reference,
    largest_of_each_class,
    likeness,
    nearest_of_each_class,
)
from brainleaks.evaluation.warping import warped_correlations
from brainleaks.monitor import Monitor
from brainleaks.networks import ConvNet, SpikingConvNet
from brainleaks.networks.blurred import BlurredMLP
from brainleaks.networks.streams import ChannelTotals, StreamConv, StreamGRU
from brainleaks.neuron import ArcTan, FastSigmoid
from brainleaks.randomness import stream
from brainleaks.signals import PLANAR, SIGNALS, Signal
from brainleaks.training import Recipe, accuracy, fit
from brainleaks.training.loop import Encode

#: How each judge works, in words.
KINDS = {
    "snn-conv": "spiking, convolutional: the protocol's evaluator",
    "ann-conv": "ordinary, convolutional: the protocol's evaluator",
    "blurred-mlp": "two layers on blurred images of equal contrast",
    "conv-1d": "ordinary, convolutions over time",
    "recurrent": "ordinary, a gated recurrent layer",
    "channel-totals": "two layers on how much each channel fires",
    "nearest": "the most correlated sample, without training",
    "nearest-dtw": "the most correlated of a few recordings after time warping, without training",
}
#: The signals that each judge takes.
TAKES: dict[str, tuple[Signal, ...]] = {
    "snn-conv": PLANAR,
    "ann-conv": PLANAR,
    "blurred-mlp": PLANAR,
    "conv-1d": ("stream",),
    "recurrent": ("stream",),
    "channel-totals": ("stream",),
    "nearest": SIGNALS,
    "nearest-dtw": ("stream",),
}
_LEARNING_RATE = 1e-3
_CODE = RateCode(steps=25)
_OF_STREAMS = {"conv-1d": StreamConv, "recurrent": StreamGRU, "channel-totals": ChannelTotals}
#: The time steps of streams are blurred by a Gaussian of this share of them, and of one at least.
_BLUR = 0.02
_PIECE = 500
#: The judge by time warping compares with so many recordings of a class, and of all, at most.
_TEMPLATES, _ALL_TEMPLATES = 50, 500
#: It is measured on so many recordings at most.
_WARPED = 1000
_STEP_BYTES = 2 << 30
#: Sides that the protocol's 5 x 5 kernels are made for; smaller images get 3 x 3.
_LARGE_SIDE = 16


@dataclass(frozen=True)
class Judge:
    """A trained classifier, or, without a network, samples to compare with.

    Args:
        name: one of :data:`KINDS`.
        network: what was trained, in evaluation mode; ``None`` for ``nearest`` and
            ``nearest-dtw``.
        reference: what it learned from, recordings for a spiking judge, else images.
        classes: how many there are.
        signal: what it judges.
    """

    name: str
    network: nn.Module | None
    reference: Samples
    classes: int
    signal: Signal

    @property
    def spiking(self) -> bool:
        """Whether it sees spike trains; the others see images."""
        return self.network is not None and bool(self.network.spiking)

    def confidences(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """The confidence in each class, ``(B, C)``.

        Shares for networks; for ``nearest`` the largest correlation with a sample of the class, and
        for ``nearest-dtw`` the largest after time warping.

        Args:
            values: spikes or their probabilities ``(T, B, channels, H, W)``, or images
                ``(B, channels, H, W)``, which are min-max scaled first.
            generator: draws spikes from probabilities and from images.
        """
        seen = rates_seen(values, self.signal)
        if self.network is None:
            known, labels = torch.as_tensor(self.reference.inputs), self.reference.labels
            if self.name == "nearest-dtw":
                values = warped_correlations(seen, known.to(seen.device))
                return largest_of_each_class(values, labels, self.classes)
            return nearest_of_each_class(seen, known, labels, self.classes)
        if not self.spiking:
            return confidences(self.network, seen)
        spikes = bernoulli(values, generator) if values.ndim == 5 else _CODE(seen, generator)
        return confidences(self.network, spikes)


def new_judge(name: str, reference: Samples, dataset: Dataset, *, seed: int) -> Judge:
    """A judge of a data set before training; its first weights are a function of seed and name."""
    shape, classes = dataset.input_shape, len(dataset.class_names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "judge", name).initial_seed())
        network = _network(name, shape, classes, events=_records(reference))
    spiking = bool(getattr(network, "spiking", False))
    if name == "nearest-dtw":
        most = min(_TEMPLATES, max(1, _ALL_TEMPLATES // classes))
        reference = select(reference, evenly(reference.labels, most))
    seen = _seen(reference, dataset.signal, spiking=spiking)
    return Judge(name, network, seen, classes, dataset.signal)


def train(judge: Judge, *, steps: int, seed: int, monitor: Monitor | None = None) -> None:
    """Train the judge's network in place, for whole epochs of about this many steps of Adam."""
    if judge.network is None:
        return
    count, batch = len(judge.reference.labels), batch_size(judge)
    recipe = Recipe(
        learning_rate=_LEARNING_RATE,
        batch_size=batch,
        epochs=math.ceil(steps / math.ceil(count / batch)),
        gradient_clip=1.0 if judge.spiking else None,
    )
    fit(
        judge.network,
        judge.reference,
        recipe,
        encode=encoding(judge),
        generator=stream(seed, "judge", judge.name, "training"),
        monitor=monitor,
    )


def batch_size(judge: Judge) -> int:
    """The batch size: 8 to 50, larger for more samples, and smaller if memory requires it."""
    batch = max(8, min(50, len(judge.reference.labels) // 50))
    if not judge.spiking:
        return batch
    inputs, network = judge.reference.inputs, cast(SpikingConvNet, judge.network)
    longest = _CODE.steps if isinstance(inputs, Tensor) else int(np.diff(inputs.recordings).max())
    return max(2, min(batch, _STEP_BYTES // (4 * longest * network.activations)))


def recognition(judge: Judge, samples: Samples, *, seed: int) -> float:
    """Accuracy of the judge on samples."""
    if judge.name == "nearest-dtw":
        samples = select(samples, evenly(torch.zeros_like(samples.labels), _WARPED))
    if judge.network is None:
        named = judge.confidences(images(samples), stream(seed)).argmax(1)
        return float((named == samples.labels).double().mean())
    seen = _seen(samples, judge.signal, spiking=judge.spiking)
    return accuracy(
        judge.network,
        seen,
        encode=encoding(judge),
        readout="membrane",
        generator=stream(seed, "judge", judge.name, "test"),
    )


class References(NamedTuple):
    """The real samples that reconstructions are compared with."""

    members: Reference
    held_out: Reference


def references(judges: list[Judge], members: Samples, held_out: Samples) -> References:
    """Real samples as images, and as the convolutional judge of images sees them."""
    found = []
    for samples in (members, held_out):
        seen = rates_seen(images(samples), judges[0].signal)
        found.append(Reference(seen, samples.labels, features(judges, seen)))
    return References(*found)


def features(judges: list[Judge], seen: Tensor) -> Tensor:
    """The input of the last layer of the ordinary convolutional judge, ``(B, F)``."""
    (network,) = (j.network for j in judges if isinstance(j.network, ConvNet | StreamConv))
    caught: list[Tensor] = []
    hook = network.fc1.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    device = next(network.parameters()).device
    try:
        with torch.no_grad():
            for piece in seen.split(_PIECE):
                network(piece.to(device))
    finally:
        hook.remove()
    return torch.cat(caught).cpu()


def scores(
    judges: list[Judge], values: Tensor, labels: Tensor, references: References, *, seed: int
) -> dict[str, Tensor]:
    """Each judge's prediction for each reconstruction, and its similarity to real samples.

    Args:
        judges: the panel.
        values: ``(T, B, channels, H, W)`` or ``(B, channels, H, W)``.
        labels: ``(B,)``, the class that each was made for.
        references: real samples.
        seed: decides the spikes that are drawn.

    Returns:
        ``(B,)`` each: ``labels``; ``named:JUDGE``, the class that a judge names;
        ``confidence:JUDGE``, how much it thinks it is the right one; and all of
        :func:`~brainleaks.evaluation.likeness.likeness`.
    """
    found = {"labels": labels}
    for judge in judges:
        matrix = judge.confidences(values, stream(seed, "scores", judge.name, device=values.device))
        matrix = matrix.cpu()
        found[f"named:{judge.name}"] = matrix.argmax(1)
        found[f"confidence:{judge.name}"] = matrix.gather(1, labels.unsqueeze(1)).squeeze(1)
    seen = rates_seen(values, judges[0].signal).cpu()
    members, held_out = references
    classes = judges[0].classes
    found |= likeness(seen, features(judges, seen), labels, members, held_out, classes)
    return found


def as_rates(values: Tensor) -> Tensor:
    """Spikes or their probabilities as rates, ``(B, channels, H, W)``; images as they are."""
    return values.mean(0) if values.ndim == 5 else values


def rates_seen(values: Tensor, signal: Signal) -> Tensor:
    """Rates as they are judged, ``(B, channels, H, W)``, each min-max scaled.

    Those of streams are blurred in time first: judges and similarity are not to hang on the very
    step of a spike. Correlation is then one of spectrograms, and a distance of spike trains as van
    Rossum's (2001), of filtered trains, here by a Gaussian and less their means and lengths: its
    square is 2 - 2 r.
    """
    rates = as_rates(values)
    if signal == "stream":
        sigma = max(1.0, _BLUR * rates.shape[2])
        blurred = gaussian_filter1d(rates.cpu().numpy(), sigma, axis=2, mode="constant")
        rates = torch.from_numpy(blurred).to(rates)
    return scale_each(rates)


def with_network_on(judge: Judge, device: str) -> Judge:
    """The same judge on a device."""
    return judge if judge.network is None else replace(judge, network=judge.network.to(device))


def evenly(labels: Tensor, most: int) -> Tensor:
    """Indices of at most so many samples of each class, evenly spaced among them."""
    each = [(labels == label).nonzero().squeeze(1) for label in labels.unique()]
    kept = [min(most, len(own)) for own in each]
    pairs = zip(each, kept, strict=True)
    return torch.cat([own[torch.arange(n) * len(own) // n] for own, n in pairs])


def _network(
    name: str, input_shape: tuple[int, ...], classes: int, *, events: bool
) -> nn.Module | None:
    large = min(input_shape[1:]) >= _LARGE_SIDE
    kernel, padding = (5, 0) if large else (3, 1)
    if name == "snn-conv":
        beta, surrogate = (0.8, ArcTan(1.5)) if events else (0.7, FastSigmoid(40))
        return SpikingConvNet(
            input_shape, classes, kernel=kernel, padding=padding, beta=beta, surrogate=surrogate
        )
    if name == "ann-conv":
        return ConvNet(input_shape, classes, kernel=kernel, padding=padding)
    if name in _OF_STREAMS:
        return _OF_STREAMS[name](input_shape, classes)
    return BlurredMLP(input_shape, classes) if name == "blurred-mlp" else None


def _records(samples: Samples) -> bool:
    return not isinstance(samples.inputs, Tensor)


def _seen(samples: Samples, signal: Signal, *, spiking: bool) -> Samples:
    """Samples as a judge sees them: recordings for a spiking judge, images for the others."""
    if spiking:
        return samples
    seen = images(samples)
    return Samples(rates_seen(seen, signal) if signal == "stream" else seen, samples.labels)


def encoding(judge: Judge) -> Encode:
    """How a judge's network is given its samples."""
    if not judge.spiking:
        return lambda inputs, generator: scale_each(inputs)
    if _records(judge.reference):
        return as_images
    return lambda inputs, generator: _CODE(scale_each(inputs), generator)
