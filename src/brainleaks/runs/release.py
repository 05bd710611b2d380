"""A run in the names and formats of the paper's release (PROTOCOL, released artefacts).

===============================================  =================================================
``[Dataset]_[ANN|SNN]_Weights_Target``           state dict of the target, by ``torch.save``
``[Dataset]_[ANN|SNN]_Weights_Eval``             the same of the study's first evaluator
``[Dataset]_[ANN|SNN]_Weights_Eval_NAME``        of each further evaluator
``[Dataset]_[ANN|SNN]_Inverted[_BL1|_BL2]``      reconstructions of the study's first gradient
                                                 inversion, BrainLeaks-v1 and BrainLeaks-v2: a
                                                 tensor, ``(classes, T, 1, D)`` spikes or spike
                                                 probabilities or ``(classes, 1, D)`` images
``[Dataset]_[ANN|SNN]_Inverted_NAME``            of each further attack
===============================================  =================================================

A spiking network's state dict also holds what ``snntorch.Leaky`` keeps in one, so that it loads,
strictly, into the notebooks' network.
"""

import io
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.data import DATASETS
from brainleaks.data.own import OwnData
from brainleaks.errors import InputError
from brainleaks.files import atomic
from brainleaks.networks.weights import neuron_entries
from brainleaks.neuron import LIF
from brainleaks.runs import folder, read_results
from brainleaks.runs.rejudge import read_reconstruction
from brainleaks.studies.config import Study

_DATASETS = {
    "att-faces": "Face",
    "mnist": "MNIST",
    "nmnist": "NMNIST",
    "nmnist-1k": "NMNIST_1k",
    "dvsgesture": "DVSGesture",
    "dvsgesture-clips": "DVSGesture_clips",
}
_ATTACKS = {
    "fredrikson": "Inverted",
    "brainleaks-v1": "Inverted_BL1",
    "brainleaks-v2": "Inverted_BL2",
}


def export(run_dir: Path, out: Path | None = None) -> list[Path]:
    """Write a run's weights and reconstructions as the release does.

    Args:
        run_dir: a finished run's folder.
        out: where to; by default ``release`` in the run's folder.

    Returns:
        The files written.

    Raises:
        InputError: if ``run_dir`` is not a finished run, or a file cannot be written.
    """
    counts = read_results(run_dir)["dataset"]
    study = folder.read_study(run_dir)
    prefix = prefix_of(study, (counts["train"], counts["test"]))
    place = out or run_dir / "release"
    contents: dict[str, Any] = {"Weights_Target": _state_dict(folder.load_target(run_dir))}
    for i, (name, network) in enumerate(folder.load_evaluators(run_dir, "cpu").items()):
        contents[f"Weights_Eval_{name}" if i else "Weights_Eval"] = _state_dict(network)
    for name, released in attack_names(study).items():
        path = run_dir / "reconstructions" / f"{name}.safetensors"
        contents[released] = read_reconstruction(path)
    return [_save(place / f"{prefix}_{name}", content) for name, content in contents.items()]


def prefix_of(study: Study, counts: tuple[int, int]) -> str:
    """``[Dataset]_[ANN|SNN]``; what is less than the release's data set does not pass for it.

    ``counts`` is how many training and test samples the run was made of.
    """
    name = study.data_name
    dataset = _DATASETS.get(name, name.replace("-", "_"))
    if isinstance(study.dataset, OwnData):
        dataset = f"Own_{re.sub(r'[^0-9A-Za-z]+', '_', name)}"
    whole = study.subset is None and (name not in DATASETS or DATASETS[name].SIZE in (None, counts))
    part = "" if whole else "_subset"
    return f"{dataset}{part}_{study.family.upper()}"


def attack_names(study: Study) -> dict[str, str]:
    """What the release calls the reconstructions of a study's attacks, by their labels.

    Raises:
        InputError: if two attacks would get one name.
    """
    names: dict[str, str] = {}
    for label, attack in study.attacks.items():
        if attack.kind != "class-reconstruction":
            continue
        released = _ATTACKS.get(attack.attack, f"Inverted_{label}")
        names[label] = f"Inverted_{label}" if released in names.values() else released
    for label, released in names.items():
        if list(names.values()).count(released) > 1:
            raise InputError(
                f"attacks.{label}: two attacks would export to {released}; rename this one in the "
                "study and run it again."
            )
    return names


def _state_dict(network: nn.Module) -> dict[str, Tensor]:
    """Weights in the standard memory order, and snnTorch's entries, in the order of the layers."""
    state = {}
    for layer, part in network.named_children():
        entries = part.state_dict() | (neuron_entries(part) if isinstance(part, LIF) else {})
        for name, tensor in entries.items():
            state[f"{layer}.{name}"] = tensor.clone(memory_format=torch.contiguous_format)
    return state


def _save(path: Path, content: Any) -> Path:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    atomic.write_bytes(path, buffer.getvalue())
    return path
