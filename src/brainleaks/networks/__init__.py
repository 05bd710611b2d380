"""Networks, ordinary and spiking: fully connected, recurrent and convolutional."""

from brainleaks.networks.conv import ConvNet, SpikingConvNet
from brainleaks.networks.conv_mlp import ConvMLP, SpikingConvMLP
from brainleaks.networks.mlp import MLP, SpikingMLP
from brainleaks.networks.recurrent import SpikingRecurrent
from brainleaks.networks.response import Readout, Response, respond, respond_in_pieces
from brainleaks.networks.vgg import VGG, SpikingVGG

__all__ = [
    "MLP",
    "VGG",
    "ConvMLP",
    "ConvNet",
    "Readout",
    "Response",
    "SpikingConvMLP",
    "SpikingConvNet",
    "SpikingMLP",
    "SpikingRecurrent",
    "SpikingVGG",
    "respond",
    "respond_in_pieces",
]
