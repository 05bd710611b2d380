"""Tensors from files that a user hands over: never unpickled, and what does not fit is named."""

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from brainleaks import atomic
from brainleaks.errors import InputError
from brainleaks.limits import ENTRIES, FILE_BYTES, check_unpacked
from brainleaks.neuron import LIF

_RESETS = {"subtract": 0, "zero": 1, "none": 2}  # snntorch.SpikingNeuron.reset_dict
_STATE = ("mem", "spk")  # what a neuron of snnTorch was last in; every run starts it anew


@dataclass(frozen=True)
class Weights:
    """A state dict from a file, by the weights' names; ``sha256`` is the file's."""

    path: Path
    tensors: dict[str, Tensor]
    sha256: str

    @property
    def origin(self) -> dict[str, str]:
        """Where the weights come from, as a run's results state it."""
        return {"file": self.path.name, "sha256": self.sha256}


def read_weights(path: Path) -> Weights:
    """Read a state dict: safetensors, or written by ``torch.save`` on whatever device.

    Raises:
        InputError: if the file holds anything else than tensors by name.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}.")
    content = read_torch(path) if is_zip(path) else atomic.read_tensors(path)
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds a {type(content).__name__}; expected a state dict: save the network's "
            "weights alone, as torch.save(network.state_dict(), FILE) does."
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(
                f"{path} holds a {type(value).__name__} under {name!r}; expected tensors by the "
                "weights' names, as torch.save(network.state_dict(), FILE) writes them."
            )
    check_extent(path, content.values())
    with path.open("rb") as file:
        return Weights(path, content, hashlib.file_digest(file, "sha256").hexdigest())


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, as torch writes them."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote, in zip format and on whatever device: tensors, and lists of them.

    Raises:
        InputError: if it is damaged, is packed, or would have to be unpickled.
    """
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a stranger's tensors are
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors and would have to be unpickled, which can run "
            "anyone's code. Save the tensors alone with torch.save, or use safetensors."
        ) from error
    except Exception as error:  # where a damaged file breaks the unpickler is anyone's guess
        raise InputError(f"{path} is not a whole file written by torch.save.") from error


def _check_archive(path: Path) -> None:
    """``torch.save`` packs nothing: what is packed can unpack to anything."""
    FILE_BYTES.check(path, path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception as error:  # of a damaged directory zipfile says many things
        raise InputError(f"{path} is not a whole file written by torch.save.") from error
    ENTRIES.check(path, len(members))
    packed = [info.filename for info in members if info.compress_type != zipfile.ZIP_STORED]
    if packed or sum(info.file_size for info in members) > path.stat().st_size:
        raise InputError(
            f"{path} holds compressed entries, which torch.save does not write; save the tensors "
            "again with torch.save, or use safetensors."
        )


def check_extent(path: Path, tensors: Iterable[Tensor]) -> None:
    """Refuse tensors that repeat few stored values: they can stand for any number.

    Raises:
        InputError: if their values take far more bytes than the file has.
    """
    dense = [tensor for tensor in tensors if is_dense(tensor)]
    total = sum(tensor.numel() * tensor.element_size() for tensor in dense)
    check_unpacked(path, path.stat().st_size, total)


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor holds all its values, one after the other."""
    return tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_meta


def load_weights(network: nn.Module, path: Path, tensors: dict[str, Tensor]) -> None:
    """Load a state dict into a network of the same architecture and the same neurons.

    What snnTorch's neurons keep beside the weights may be there; it must agree with the network's.

    Args:
        network: takes the weights.
        path: where they come from, for the message.
        tensors: the state dict.

    Raises:
        InputError: naming the first entry that does not fit, or is not finite.
    """
    weights = check_weights(network, path, tensors)
    network.load_state_dict(weights)
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise InputError(f"{path} holds NaN or infinity in {name}; weights must be finite.")


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
                f"{name} has the very weights of the target, and the target does not judge "
                "itself; name another judge, or attack another target."
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
        elif layer not in neurons or entry not in _STATE:
            weights[name] = tensor
    return weights


def _compare(path: Path, name: str, tensor: Tensor, expected: Tensor) -> None:
    readable = is_dense(tensor) and tensor.numel() > 0
    values = (tensor if readable else torch.tensor(torch.nan)).double().flatten()
    differing = values[~values.isclose(expected.double(), rtol=1e-6, atol=0)]
    if len(differing):
        raise InputError(
            f"{path} holds the weights of other neurons: {name} is {float(differing[0]):g}, the "
            f"study's is {float(expected):g}. Attack them by a study of such neurons (their beta "
            "is target.network.beta), or give other weights."
        )
