"""The paper's networks: fully connected targets and convolutional evaluators, ANN and SNN."""

from brainleaks.networks.conv import ConvNet, SpikingConvNet
from brainleaks.networks.mlp import MLP, SpikingMLP
from brainleaks.networks.recurrent import SpikingRecurrent
from brainleaks.networks.response import Readout, Response, respond, respond_in_pieces
from brainleaks.networks.vgg import VGG, SpikingVGG

__all__ = [
    "MLP",
    "VGG",
    "ConvNet",
    "Readout",
    "Response",
    "SpikingConvNet",
    "SpikingMLP",
    "SpikingRecurrent",
    "SpikingVGG",
    "respond",
    "respond_in_pieces",
]
