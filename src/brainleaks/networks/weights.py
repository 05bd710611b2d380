"""Weights of networks: loaded, compared and hashed; what does not fit is named."""

import hashlib
from collections.abc import Mapping
from math import prod
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from brainleaks.errors import InputError
from brainleaks.files.tensors import is_dense
from brainleaks.networks.integers import dequantized
from brainleaks.networks.names import STATE, match
from brainleaks.networks.views import Coded
from brainleaks.neuron import LIF

_RESETS = {"subtract": 0, "zero": 1, "none": 2}  # snntorch.SpikingNeuron.reset_dict


def load_weights(network: nn.Module, path: Path, tensors: dict[str, Tensor]) -> list[str]:
    """Load a state dict into a network of the same architecture and the same neurons.

    Whole numbers are multiplied by their scales (:mod:`brainleaks.networks.integers`), and what
    wrappers put before the names is removed (:func:`brainleaks.networks.names.match`).

    What snnTorch's neurons keep beside the weights may be there; it must agree with the network's.

    Args:
        network: takes the weights.
        path: where they come from, for the message.
        tensors: the state dict.

    Returns:
        Sentences on what was removed or left out.

    Raises:
        InputError: naming the first entry that does not fit, or is not finite.
    """
    tensors, whole = dequantized(path, tensors)
    tensors, said = match(network, path, tensors)
    weights = check_weights(network, path, tensors)
    network.load_state_dict(weights)
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise InputError(f"{path} holds NaN or infinity in {name}; weights must be finite.")
    return whole + said


def check_weights(network: nn.Module, path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Compare a state dict with a network, which may be without memory.

    Returns:
        The weights alone.

    Raises:
        InputError: naming the first entry that does not fit.
    """
    weights = _without_neurons(network, path, tensors)
    found = {name: _form(tensor) for name, tensor in weights.items()}
    expected = {
        name: tuple(tensor.shape) if tensor.is_meta else _form(tensor)
        for name, tensor in network.state_dict().items()
    }
    for name in (*expected, *found):
        if found.get(name) != expected.get(name):
            raise InputError(
                f"{path} holds the weights of another architecture: {name} is "
                f"{found.get(name, 'absent')}, expected {expected.get(name, 'absent')}."
            )
    return weights


def neuron_entries(neuron: LIF) -> dict[str, Tensor]:
    """What ``snntorch.Leaky`` keeps in a state dict for this neuron (snnTorch 0.7 to 1.0)."""
    return {
        "threshold": torch.tensor(neuron.threshold),
        "graded_spikes_factor": torch.tensor(1.0),
        "reset_mechanism_val": torch.tensor(_RESETS[neuron.reset]),
        "beta": torch.tensor(neuron.beta),
    }


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights, wherever they lie and in whatever memory order."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    return hashlib.sha256(safetensors.torch.save(tensors)).hexdigest()


def refuse_the_target(target: nn.Module, judges: Mapping[str, nn.Module]) -> None:
    """Refuse judges that are the attacked network itself, whatever they are called.

    Args:
        target: the attacked network.
        judges: by what the message calls them.

    Raises:
        InputError: if one has the target's very weights, layer by layer.
    """
    for name, network in judges.items():
        if _same_weights(target, network):
            raise InputError(
                f"{name} has the same weights as the target, and the target must not judge "
                "itself; choose another judge or another target."
            )


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    first, second = list(one.parameters()), list(other.parameters())
    if not first or [p.shape for p in first] != [p.shape for p in second]:
        return False
    return all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(first, second, strict=True))


def _form(tensor: Tensor) -> tuple[int, ...] | str:
    """A weight's shape, or what it is that no weight can be."""
    if is_dense(tensor) and tensor.is_floating_point():
        return tuple(tensor.shape)
    return f"a {tensor.layout} tensor of {tensor.dtype} on {tensor.device.type}"


def _without_neurons(
    network: nn.Module, path: Path, tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The weights alone, once the neurons that the state dict states are the network's."""
    neurons = {name: part for name, part in network.named_modules() if isinstance(part, LIF)}
    weights = {}
    for name, tensor in tensors.items():
        layer, _, entry = name.rpartition(".")
        stated = neuron_entries(neurons[layer]) if layer in neurons else {}
        if entry in stated:
            _compare(path, name, tensor, stated[entry])
        elif layer not in neurons or entry not in STATE:
            weights[name] = tensor
    return weights


def _compare(path: Path, name: str, tensor: Tensor, expected: Tensor) -> None:
    readable = is_dense(tensor) and tensor.numel() > 0
    values = (tensor if readable else torch.tensor(torch.nan)).double().flatten()
    differing = values[~values.isclose(expected.double(), rtol=1e-6, atol=0)]
    if len(differing):
        raise InputError(
            f"{path} holds the weights of other neurons: {name} is {float(differing[0]):g}, but "
            f"the study's is {float(expected):g}. Set target.network.beta to the value in the "
            "file, or give other weights."
        )


def first_layer(network: nn.Module, input_shape: tuple[int, ...]) -> str | None:
    """The name of a first layer that is fully connected to the inputs.

    ``None`` if it is not, and behind a code, whose weights are not the network's.
    """
    if isinstance(network, Coded):
        return None
    layers = ((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear))
    name, first = next(layers, ("", None))
    if not isinstance(first, nn.Linear) or first.in_features != prod(input_shape):
        return None
    return name


def first_weights(network: nn.Module, input_shape: tuple[int, ...]) -> Tensor | None:
    """Weights ``(H, *input_shape)`` of the :func:`first_layer`; ``None`` if there is none."""
    name = first_layer(network, input_shape)
    if name is None:
        return None
    weights: Tensor = network.get_parameter(f"{name}.weight").detach()
    unflattened: Tensor = weights.unflatten(1, input_shape)
    return unflattened
