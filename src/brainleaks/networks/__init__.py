"""The paper's networks: fully connected targets and convolutional evaluators, ANN and SNN."""

from brainleaks.networks.conv import ConvNet, SpikingConvNet
from brainleaks.networks.mlp import MLP, SpikingMLP
from brainleaks.networks.recurrent import SpikingRecurrent
from brainleaks.networks.response import Readout, Response, respond, respond_in_pieces

__all__ = [
    "MLP",
    "ConvNet",
    "Readout",
    "Response",
    "SpikingConvNet",
    "SpikingMLP",
    "SpikingRecurrent",
    "respond",
    "respond_in_pieces",
]
