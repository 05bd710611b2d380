"""The networks as a study file names them: typed settings that build themselves.

The ``version`` of an architecture is raised by the author of a change that changes its values; what
was trained or measured under another is not used (:mod:`brainleaks.pipeline.versions`).
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from brainleaks.networks.conv import ConvNet, SpikingConvNet
from brainleaks.networks.conv_mlp import ConvMLP, SpikingConvMLP
from brainleaks.networks.mlp import MLP, SpikingMLP
from brainleaks.networks.recurrent import SpikingRecurrent
from brainleaks.networks.response import Readout
from brainleaks.networks.vgg import VGG, Pooling, SpikingVGG
from brainleaks.neuron import ArcTan, FastSigmoid
from brainleaks.signals import PLANAR, SIGNALS, Signal

_Surrogate = Annotated[FastSigmoid | ArcTan, Field(discriminator="surrogate")]
_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """Settings that know their fields, and take no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Spiking(Strict):
    version: ClassVar[int] = 1

    beta: _Share
    surrogate: _Surrogate
    readout: Readout = "membrane"
    spiking: ClassVar[bool] = True


class _Ordinary(Strict):
    version: ClassVar[int] = 1

    readout: ClassVar[Readout] = "membrane"
    spiking: ClassVar[bool] = False


class MLPConfig(_Ordinary):
    """:class:`~brainleaks.networks.MLP`."""

    takes: ClassVar[tuple[Signal, ...]] = SIGNALS

    architecture: Literal["mlp"]
    hidden: Annotated[int, Field(ge=1)] = 3000

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        return MLP(input_shape, classes, hidden=self.hidden)


class SpikingMLPConfig(_Spiking):
    """:class:`~brainleaks.networks.SpikingMLP`."""

    takes: ClassVar[tuple[Signal, ...]] = SIGNALS

    architecture: Literal["spiking-mlp"]
    hidden: Annotated[int, Field(ge=1)] = 3000

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        neuron = {"beta": self.beta, "surrogate": self.surrogate}
        return SpikingMLP(input_shape, classes, hidden=self.hidden, **neuron)  # type: ignore[arg-type]


class SpikingRecurrentConfig(_Spiking):
    """:class:`~brainleaks.networks.SpikingRecurrent`."""

    takes: ClassVar[tuple[Signal, ...]] = SIGNALS

    architecture: Literal["spiking-recurrent"]
    hidden: Annotated[int, Field(ge=1)] = 256

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        neuron = {"beta": self.beta, "surrogate": self.surrogate}
        return SpikingRecurrent(input_shape, classes, hidden=self.hidden, **neuron)  # type: ignore[arg-type]


class ConvNetConfig(_Ordinary):
    """:class:`~brainleaks.networks.ConvNet`."""

    takes: ClassVar[tuple[Signal, ...]] = SIGNALS

    architecture: Literal["conv"]
    kernel: Annotated[int, Field(ge=1)] = 5
    padding: Annotated[int, Field(ge=0)] = 0

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        return ConvNet(input_shape, classes, kernel=self.kernel, padding=self.padding)


class SpikingConvNetConfig(_Spiking):
    """:class:`~brainleaks.networks.SpikingConvNet`; version 2 sums its gradients in pieces."""

    version: ClassVar[int] = 2
    takes: ClassVar[tuple[Signal, ...]] = PLANAR

    architecture: Literal["spiking-conv"]
    kernel: Annotated[int, Field(ge=1)] = 5
    padding: Annotated[int, Field(ge=0)] = 0

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        return SpikingConvNet(
            input_shape,
            classes,
            kernel=self.kernel,
            padding=self.padding,
            beta=self.beta,
            surrogate=self.surrogate,
        )


class ConvMLPConfig(_Ordinary):
    """:class:`~brainleaks.networks.ConvMLP`."""

    takes: ClassVar[tuple[Signal, ...]] = PLANAR

    architecture: Literal["conv-mlp"]
    hidden: _Positive = 1000

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        return ConvMLP(input_shape, classes, hidden=self.hidden)


class SpikingConvMLPConfig(_Spiking):
    """:class:`~brainleaks.networks.SpikingConvMLP`."""

    takes: ClassVar[tuple[Signal, ...]] = PLANAR

    architecture: Literal["spiking-conv-mlp"]
    hidden: _Positive = 1000

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        neuron: Any = {"beta": self.beta, "surrogate": self.surrogate}
        return SpikingConvMLP(input_shape, classes, hidden=self.hidden, **neuron)


class _Blocks(Strict):
    """Blocks of convolutions: the output channels of each, and how many convolutions it has."""

    takes: ClassVar[tuple[Signal, ...]] = PLANAR

    widths: Annotated[tuple[_Positive, ...], Field(min_length=1, max_length=10)] = (32, 64, 128)
    depth: _Positive = 1
    pooling: Pooling = "max"

    @property
    def blocks(self) -> dict[str, Any]:
        """What both kinds of networks are built with."""
        return {"widths": self.widths, "depth": self.depth, "pooling": self.pooling}


class VGGConfig(_Ordinary, _Blocks):
    """:class:`~brainleaks.networks.VGG`."""

    architecture: Literal["vgg"]

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        return VGG(input_shape, classes, **self.blocks)


class SpikingVGGConfig(_Spiking, _Blocks):
    """:class:`~brainleaks.networks.SpikingVGG`."""

    architecture: Literal["spiking-vgg"]

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, freshly initialised from torch's global generator."""
        neuron: Any = {"beta": self.beta, "surrogate": self.surrogate}
        return SpikingVGG(input_shape, classes, **self.blocks, **neuron)


NetworkConfig = Annotated[
    MLPConfig
    | SpikingMLPConfig
    | SpikingRecurrentConfig
    | ConvNetConfig
    | SpikingConvNetConfig
    | ConvMLPConfig
    | SpikingConvMLPConfig
    | VGGConfig
    | SpikingVGGConfig,
    Field(discriminator="architecture"),
]
