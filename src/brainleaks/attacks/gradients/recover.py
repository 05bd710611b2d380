"""A private batch from a gradient, in one call."""

from collections.abc import Mapping

from torch import Tensor, nn

from brainleaks.attacks.gradients.error_iteration import ErrorIteration
from brainleaks.attacks.gradients.gradient_matching import GradientMatching
from brainleaks.attacks.gradients.readout_separation import ReadoutSeparation
from brainleaks.attacks.gradients.spike_separation import SpikeSeparation
from brainleaks.attacks.gradients.step import Recovered, TrainingStep
from brainleaks.networks.weights import first_layer
from brainleaks.neuron import LIF
from brainleaks.target import Target


def recover(
    gradients: Mapping[str, Tensor],
    network: nn.Module,
    *,
    input_shape: tuple[int, ...],
    classes: int,
    batch_size: int | None = None,
    time_steps: int | None = None,
) -> Recovered:
    """Recover the private batch of a training step.

    Spike separation attacks a spiking network, error iteration an ordinary one. Where the first
    layer is not fully connected to the inputs, these are readout separation and gradient matching,
    which need the batch size and the number of time steps.

    Args:
        gradients: of the batch's mean loss, by the names of the network's parameters.
        network: of :mod:`brainleaks.networks`, with the weights that the gradient was computed at.
        input_shape: of one input.
        classes: how many the network tells apart.
        batch_size: how many samples the batch has, if that is known.
        time_steps: how many time steps each sample has, if that is known.

    Raises:
        InputError: if the gradient is not the network's, or the attack lacks the batch size.

    Example:
        >>> import torch
        >>> from brainleaks.networks import SpikingMLP
        >>> from brainleaks.neuron import FastSigmoid
        >>> from brainleaks.training import summed_cross_entropy
        >>> network = SpikingMLP((1, 8, 8), 10, hidden=300, beta=0.7, surrogate=FastSigmoid(40))
        >>> private = (torch.rand(10, 1, 1, 8, 8) < 0.4).float()
        >>> summed_cross_entropy(network(private), torch.tensor([3])).backward()
        >>> gradients = {name: p.grad for name, p in network.named_parameters()}
        >>> found = recover(gradients, network, input_shape=(1, 8, 8), classes=10)
        >>> bool((found.inputs == private.bool()).all()), found.labels.tolist()
        (True, [3])
    """
    target = Target(network, input_shape=input_shape, classes=classes)
    step = TrainingStep(gradients, batch_size, time_steps)
    if first_layer(network, input_shape) is not None:
        return (SpikeSeparation() if target.spiking else ErrorIteration())(target, step)
    spiking = any(isinstance(layer, LIF) for layer in network.modules())
    return (ReadoutSeparation() if spiking else GradientMatching())(target, step)
